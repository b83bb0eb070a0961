"""A spec to start from: what `python -m builder new NAME` writes, and what an editor offers in an empty file."""

import os
from pathlib import Path

from builder.exits import OutputError, UsageError
from builder.fields import SPEC_NAME, matches
from builder.problems import printable

SCHEMA = Path(__file__).parent / "net.schema.json"
ENDINGS = (".yaml", ".yml")

_STARTER = """\
# A small convolutional network for MNIST, and how to train it. Change a line, and `check` says what it thinks of it.
input: [1, 28, 28]                  # channels, height, width

layers:                             # in the order in which an image passes them
  - conv2d: {out_channels: 16, kernel_size: 3, padding: 1, bias: false}   # the input's channels are computed
  - batch_norm2d                    # has a bias of its own
  - relu
  - max_pool2d: {kernel_size: 2}    # halves height and width
  - conv2d: {out_channels: 32, kernel_size: 3, padding: 1, bias: false}
  - batch_norm2d
  - relu
  - max_pool2d: {kernel_size: 2}
  - flatten                         # rows and columns become features
  - linear: {out_features: 10}      # one output for each class; cross_entropy wants no softmax

training:
  dataset: {mnist: {fallback: mnist_sample}}   # without a connection, the images that come with this package
  epochs: 3
  batch_size: 64
  loss: cross_entropy
  optimizer: adam
  scheduler: {one_cycle: {max_lr: 0.01}}
  seed: 1
"""


def starter_text() -> str:
    """The spec without the line that names its schema."""
    return _STARTER


def new_spec(name: str) -> Path:
    """Write a spec to start from as NAME.yaml, and give its path; a file that is there stays as it is.

    Raises:
        UsageError: the name is no name of a spec, or its folder is missing.
        OutputError: the file exists or can't be written.
    """
    path = Path(name if name.endswith(ENDINGS) else f"{name}{ENDINGS[0]}")
    if not matches(SPEC_NAME, path.stem):
        raise UsageError(f"`{printable(name)}` can't name a spec: {SPEC_NAME.meaning}")
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder `{printable(str(path.parent))}`")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(f"# yaml-language-server: $schema={schema_address(path.parent)}\n{_STARTER}")
    except FileExistsError:
        raise OutputError(f"`{printable(str(path))}` exists already, and stays as it is") from None
    except OSError as error:
        raise OutputError(f"can't write `{printable(str(path))}`: {error.strerror}") from error
    return path


def schema_advice(folder: Path) -> str:
    """How an editor comes to the schema, where a new spec of this folder does not find it."""
    if (folder / schema_address(folder)).is_file():
        return ""
    return f"for completion in an editor: python -m builder schema > {printable(str(folder / SCHEMA.name))}"


def schema_address(folder: Path) -> str:
    """Where a spec of this folder finds the schema: in the checkout that it belongs to, or else beside itself."""
    folder = folder.resolve()
    checkout = SCHEMA.parent.parent.resolve()
    if not folder.is_relative_to(checkout):
        return SCHEMA.name
    return os.path.relpath(SCHEMA.resolve(), folder).replace(os.sep, "/")
