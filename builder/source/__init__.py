"""A spec's text, from a file or the command line, becomes nodes that know their line and column.

The stages before: `scalars` (what a word means), `syntax` (what is wrong where the text is not YAML), `nodes` and
`composer` (events to nodes, within the caps of `limits`). All of this module that others need is named in `__all__`.
"""

import errno
import os
import re
import stat
import sys
from itertools import islice
from pathlib import Path
from typing import NoReturn

from builder.exits import UsageError
from builder.limits import MAX_SHOWN_PROBLEMS, MAX_SPEC_BYTES
from builder.problems import Place, Problem, Source, SpecError, printable, show
from builder.source.composer import Composer
from builder.source.nodes import Entry, ListNode, MapNode, Node, Scalar, plain
from builder.source.positions import Positions

__all__ = [
    "STDIN",
    "Entry",
    "ListNode",
    "MapNode",
    "Node",
    "Scalar",
    "find_specs",
    "is_base",
    "parse",
    "parse_value",
    "plain",
    "read_file",
    "read_stdin",
]

STDIN = "<stdin>"

_BOM = b"\xef\xbb\xbf"
# What YAML forbids, and byte order marks inside the text: nobody sees them.
# Not as the complement of what it allows, which reaches beyond 16 bits and takes ten times as long to compile.
_FORBIDDEN = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufeff\ufffe\uffff]")


def parse(source: Source) -> MapNode:
    """The mapping that a spec is. Raises `SpecError` with every problem that one pass can see."""
    _check_characters(source)
    composer = Composer(source)
    root = composer.compose()
    if not composer.broken and not isinstance(root, MapNode):
        composer.problems.append(_not_a_mapping(source, root))
    if composer.problems or not isinstance(root, MapNode):
        raise SpecError(composer.problems)
    return root


def parse_value(source: Source) -> Node:
    """Any one value, as an override of the command line gives it; nothing at all is null."""
    _check_characters(source)
    composer = Composer(source)
    root = composer.compose()
    if composer.problems:
        raise SpecError(composer.problems)
    return root or Scalar(None, Place(source, 1, 1, 1, 1), quoted=False, raw="")


def _not_a_mapping(source: Source, root: Node | None) -> Problem:
    if root is None or (isinstance(root, Scalar) and not root.raw and not root.quoted):
        hint = "a spec needs at least `input: [1, 28, 28]` and `layers: [flatten, linear: {out_features: 10}]`"
        return Problem("empty-spec", "spec is empty", Place(source, 1, 1, 1, 1), hint)
    hint = "a spec is a mapping with at least the keys `input` and `layers`"
    if isinstance(root, ListNode):
        return Problem("not-a-mapping", "spec is a list", root.place, f"{hint}; put the layers below `layers:`")
    assert isinstance(root, Scalar)
    if glued := re.match(r"(\w+):(?=\S)", root.raw):
        hint = f"a space is missing after the colon of `{glued.group(1)}`"
    what = "the text" if isinstance(root.value, str) else "the value"
    return Problem("not-a-mapping", f"spec is {what} {show(root.raw)}", root.place, hint)


def find_specs(path: Path) -> list[Path]:
    """The specs below a directory, sorted: not in hidden folders, no hidden ones, and no bases of others."""
    if not os.path.isdir(path):  # noqa: PTH112  # Path.is_dir fails on a name that is too long
        return [path]
    found = []
    for folder, subfolders, names in os.walk(path, onerror=_unreadable):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        files = [Path(folder, name) for name in names if name.endswith((".yaml", ".yml")) and name[0] != "."]
        found += [file for file in files if not is_base(file)]
    return sorted(found)


def is_base(path: Path) -> bool:
    """Whether a file may be incomplete, because others extend it: its name starts with `_`."""
    return path.name.startswith("_")


def _unreadable(error: OSError) -> NoReturn:
    raise UsageError(_cannot_read(error.filename, _reason(error)))


def _cannot_read(path: object, reason: str) -> str:
    return f"can't read `{printable(str(path))}`: {reason}"


def _reason(error: OSError | ValueError) -> str:
    if not isinstance(error, OSError) or error.errno is None:
        return "this is no file name"
    if error.errno == errno.ENOENT:
        return "there is no such file"
    return os.strerror(error.errno).lower()


def read_file(path: Path) -> tuple[Source, bytes]:
    """The text of a spec, and its bytes as they are in the file."""
    return _decoded(str(path), _read_bytes(path))


def read_stdin() -> tuple[Source, bytes]:
    """The text of a spec from standard input, and its bytes."""
    try:
        if sys.stdin is None:  # it was closed before the start (`<&-`)
            raise UsageError(_cannot_read(STDIN, "it is closed"))
        return _decoded(STDIN, sys.stdin.buffer.read(MAX_SPEC_BYTES + 1))
    except OSError as error:
        raise UsageError(_cannot_read(STDIN, _reason(error))) from None


def _decoded(name: str, data: bytes) -> tuple[Source, bytes]:
    if len(data) > MAX_SPEC_BYTES:
        source = Source(name, "")
        hint = "that is no spec"
        raise SpecError(
            [Problem("file-too-large", f"file has more than {MAX_SPEC_BYTES:,} bytes", Place(source, 1, 1, 1, 1), hint)]
        )
    skipped = len(_BOM) if data.startswith(_BOM) else 0
    try:
        source = Source(name, data[skipped:].decode("utf-8"))
    except UnicodeDecodeError as error:
        raise SpecError([_not_utf8(name, data, skipped, error.start)]) from None
    _check_characters(source, skipped)
    return source, data


def _read_bytes(path: Path) -> bytes:
    # Without O_NONBLOCK the opening of a FIFO waits for a writer; the kind is asked of what was opened, not of a name.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(path, flags)
        try:
            mode = os.fstat(descriptor).st_mode
            if not stat.S_ISREG(mode):
                raise UsageError(_cannot_read(path, f"it is {_kind_of_file(mode)}, not a file"))
            return _read_up_to(descriptor, MAX_SPEC_BYTES + 1)
        finally:
            os.close(descriptor)
    except (OSError, ValueError) as error:
        raise UsageError(_cannot_read(path, _reason(error))) from None


def _kind_of_file(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a directory"
    return "a named pipe" if stat.S_ISFIFO(mode) else "a device"


def _read_up_to(descriptor: int, size: int) -> bytes:
    data = b""
    while len(data) < size and (more := os.read(descriptor, size - len(data))):
        data += more
    return data


def _not_utf8(name: str, data: bytes, skipped: int, bad: int) -> Problem:
    """The first byte that is not UTF-8; `bad` counts from behind a byte order mark."""
    source = Source(name, data[skipped:].decode("utf-8", "replace"))
    before = len(data[skipped : skipped + bad].decode("utf-8"))
    place = Positions(source).place(before, before + 1)
    wide = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    hint = "save the file as UTF-8; it seems to be UTF-16" if wide else "save the file as UTF-8"
    return Problem("not-utf8", f"byte {skipped + bad} (0x{data[skipped + bad]:02x}) is not UTF-8", place, hint)


def _check_characters(source: Source, skipped: int = 0) -> None:
    """Refuse what YAML forbids and nobody sees. `skipped` is the length of a byte order mark that was taken away."""
    found = list(islice(_FORBIDDEN.finditer(source.text), MAX_SHOWN_PROBLEMS))
    if not found:
        return
    positions = Positions(source)
    wide = source.text.count("\0") > len(source.text) // 3  # every other byte of plain English in UTF-16
    problems = []
    for match in found:
        offset = skipped + len(source.text[: match.start()].encode("utf-8", "surrogatepass"))
        message = f"character {show(match.group())} at byte {offset} is not allowed"
        hint = "save the file as UTF-8; it seems to be UTF-16" if wide else "remove it"
        problems.append(Problem("control-character", message, positions.place(*match.span()), hint))
    raise SpecError(problems)
