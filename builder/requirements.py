"""The packages that training needs and checking doesn't."""

from importlib import metadata
from importlib.util import find_spec

from builder.exits import UsageError

MIN_TORCH = (2, 10)
INSTALL = 'pip install "yamlnet[train]"'


def require_training_packages() -> None:
    """Raise `UsageError`, with what to install, if torch is missing or too old to train with."""
    missing = [package for package in ("torch", "tqdm") if find_spec(package) is None]
    if missing:
        raise UsageError(f"training needs {' and '.join(missing)}; install with: {INSTALL}")
    version = metadata.version("torch")
    if tuple(int(part) for part in version.split(".")[:2]) < MIN_TORCH:
        wanted = ".".join(str(part) for part in MIN_TORCH)
        raise UsageError(f"training needs torch {wanted} or later, and {version} is installed; upgrade with: {INSTALL}")
