"""What the formats of data sets share: a file is read whole and verified before anything in it is believed."""

import gzip
import zlib
from dataclasses import dataclass
from importlib.resources.abc import Traversable

from torch import Tensor


class WrongFileError(Exception):
    """A file is not what it must be; the text goes on where the file's name ends."""


@dataclass(frozen=True, eq=False)
class Labelled:
    """Images as a data set stores them."""

    images: Tensor  # uint8 (n, channels, height, width)
    labels: Tensor  # int64 (n,)

    def __len__(self) -> int:
        return len(self.labels)

    def at(self, index: Tensor) -> "Labelled":
        """Those at the positions in `index`, int64."""
        return Labelled(self.images[index], self.labels[index])


def uncompressed(file: Traversable, limit: int) -> bytes:
    """What is in a file, plain or gzipped: at most `limit` bytes, so that a small file can't grow into all memory.

    Raises WrongFileError.
    """
    try:
        if not file.is_file():  # opening a pipe would wait for ever
            raise WrongFileError("is not a regular file")
        with file.open("rb") as stream:
            # The content decides and not the name: some browsers unpack what they download and keep its name.
            is_gzipped = stream.read(2) == b"\x1f\x8b"
            stream.seek(0)
            content: bytes = (gzip.GzipFile(fileobj=stream) if is_gzipped else stream).read(limit)
            return content
    except EOFError:
        raise WrongFileError("is truncated: it ends within its gzip stream") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise WrongFileError(f"is damaged: its gzip stream can't be unpacked ({error})") from None
    except OSError as error:
        raise WrongFileError(f"can't be read ({error.strerror})") from None


def check_length(content: bytes, num_bytes: int, of_what: str) -> None:
    """Raises WrongFileError unless there are exactly so many bytes."""
    if len(content) < num_bytes:
        raise WrongFileError(f"is truncated: it has {len(content)} of {num_bytes} bytes")
    if len(content) > num_bytes:
        raise WrongFileError(f"goes on after the {num_bytes} bytes of {of_what}")


def check_labels(labels: bytes, first: int, num_classes: int) -> None:
    """Raises WrongFileError if there is one that belongs to no class."""
    last = first + num_classes - 1
    for wrong in (max(labels), min(labels)):
        if not first <= wrong <= last:
            where = f"(image {labels.index(wrong)}), where labels are {first} to {last}"
            raise WrongFileError(f"holds the label {wrong} {where}")
