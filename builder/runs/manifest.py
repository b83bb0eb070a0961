"""The manifest of a checkpoint: the small file that says that the large one is finished, and what it holds."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import torch

from builder.problems import printable
from builder.version import __version__

FORMAT = 1
_LFS_POINTER = b"version https://git-lfs"


class BadManifestError(Exception):
    """Not as it was written."""


class NewerFormatError(Exception):
    """Written by a yamlnet that knows more; the end of a sentence that begins with the file."""


@dataclass(frozen=True)
class Manifest:
    """What a checkpoint's data was when it was written."""

    file: str  # the data's name, in the same folder
    num_bytes: int
    sha256: str

    @classmethod
    def of(cls, file: str, content: bytes) -> "Manifest":
        return cls(file, len(content), _sha256(content))

    @classmethod
    def from_bytes(cls, content: bytes) -> "Manifest":
        """Read one.

        Raises:
            BadManifestError: a bit of it has changed, or it never was one.
            NewerFormatError: it is of a newer format. `format`, `yamlnet` and `seal` stay in all of them.
        """
        try:
            entries = json.loads(content)
            entries.pop("seal")
            if _sealed(entries) != content:
                raise BadManifestError
            if entries["format"] > FORMAT:
                writer = f"yamlnet {printable(str(entries['yamlnet']))} in format {int(entries['format'])}"
                raise NewerFormatError(f"was written by {writer}; this is yamlnet {__version__}, for format {FORMAT}")
            return cls(str(entries["file"]), int(entries["num_bytes"]), str(entries["sha256"]))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise BadManifestError from None

    def to_bytes(self) -> bytes:
        """Together with the versions that write it."""
        versions = {"yamlnet": __version__, "torch": str(torch.__version__)}
        return _sealed({"format": FORMAT} | asdict(self) | versions)

    def difference(self, content: bytes) -> str:
        """How the data differs from what was written, after its name; empty if it doesn't."""
        if _sha256(content) == self.sha256:
            return ""
        if not content:
            return "is empty"
        if content.startswith(_LFS_POINTER):
            return "is a pointer of Git LFS instead of the file, which `git lfs pull` fetches"
        if not content.strip(b"\0"):
            return "holds nothing but zeros"
        if len(content) < self.num_bytes:
            return f"is truncated, to {len(content):,} of {self.num_bytes:,} bytes"
        if len(content) > self.num_bytes:
            return f"has {len(content):,} bytes instead of {self.num_bytes:,}"
        return "is not as it was written: its SHA-256 differs"


def _sealed(entries: Mapping[str, object]) -> bytes:
    """As text, with its own digest: so every bit of it counts."""
    return _text({**entries, "seal": _sha256(_text(entries))})


def _text(entries: Mapping[str, object]) -> bytes:
    return (json.dumps(entries, indent=2) + "\n").encode()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
