"""Files as a repository names them: from its root, with `/`."""

import os
from functools import cache
from pathlib import Path

from builder.source import STDIN


def in_repository(file: str) -> str:
    """The file's path below the root of its repository, or below the working directory where there is none.

    What lies below neither keeps its absolute path, and standard input its name.
    """
    if file == STDIN:
        return file
    path = Path(os.path.abspath(file))  # noqa: PTH100  # Path.resolve would follow links, which git does not
    root = _root(path.parent) or Path.cwd()
    return (path.relative_to(root) if path.is_relative_to(root) else path).as_posix()


@cache
def _root(folder: Path) -> Path | None:
    return next((parent for parent in (folder, *folder.parents) if os.path.exists(parent / ".git")), None)  # noqa: PTH110  # Path.exists fails on a name that is too long
