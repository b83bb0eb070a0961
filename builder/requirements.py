"""The packages that training and its extras need, and checking doesn't."""

from importlib import import_module, metadata
from importlib.util import find_spec

from builder.exits import UsageError

MIN_TORCH = (2, 10)
TENSORBOARD = "tensorboard.summary.writer.record_writer"  # the part of it that writes


def require_training_packages() -> None:
    """Raise `UsageError`, with what to install, if torch is missing or too old to train with."""
    missing = [package for package in ("torch", "tqdm") if find_spec(package) is None]
    if missing:
        raise UsageError(f"training needs {' and '.join(missing)}; install with: {_install('train')}")
    version = metadata.version("torch")
    if tuple(int(part) for part in version.split(".")[:2]) < MIN_TORCH:
        wanted = ".".join(str(part) for part in MIN_TORCH)
        upgrade = f"upgrade with: {_install('train')}"
        raise UsageError(f"training needs torch {wanted} or later, and {version} is installed; {upgrade}")


def require_pillow() -> None:
    """Raise `UsageError`, with what to install, if no pictures can be read."""
    if find_spec("PIL") is None:
        raise UsageError(f"reading pictures needs pillow; install with: {_install('train')}")


def require_tensorboard() -> None:
    """Raise `UsageError`, with what to install, if TensorBoard's files can't be written."""
    install = f"install with: {_install('tensorboard')}"
    if find_spec("tensorboard") is None:
        raise UsageError(f"--tensorboard needs tensorboard; {install}")
    try:
        import_module(TENSORBOARD)
    except Exception as error:  # it needs other packages, and is hard to please about their versions
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise UsageError(f"--tensorboard needs tensorboard, which can't be imported ({reason}); {install}") from None


def has_matplotlib() -> bool:
    """Whether the pictures of a run can be drawn."""
    return find_spec("matplotlib") is not None


def _install(extra: str) -> str:
    return f'pip install "yamlnet[{extra}]"'
