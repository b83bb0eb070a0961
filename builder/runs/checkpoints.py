"""The checkpoints of a run: what it needs to go on, written so that there always is a good one, and read with distrust.

One checkpoint is two files, `step-000000100.pt`, a mapping of plain values and tensors, and `step-000000100.json`, its
manifest: the length and the SHA-256 of the first. The manifest is written last. Data without one doesn't count.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from io import BytesIO
from itertools import chain, count
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from builder.exits import ResumeError, TrainingError
from builder.problems import printable, shown_path
from builder.runs.manifest import BadManifestError, Manifest, NewerFormatError
from builder.runs.storage import DISK, WRITE_POINTS, Files, make_folder, sweep, unwritable, write

# Where a save can be killed, in order; `later removed` and `removed` once for every file.
CRASH_POINTS = (
    *(f"data {point}" for point in WRITE_POINTS),
    "later removed",
    *(f"manifest {point}" for point in WRITE_POINTS),
    "removed",
    "pruned",
)

_NAME = re.compile(r"step-([0-9]{9,})(?:\.json|(?:-[0-9]+)?\.pt)")
_MANIFEST_SUFFIX = ".json"


class CheckpointError(ResumeError):
    """There are checkpoints, but none that the run could go on from."""


class _BadFileError(Exception):
    """A file that is no good checkpoint: its path, and what it is instead."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(f"{shown_path(path)} {what}")


@dataclass(frozen=True)
class Checkpoint:
    """What was saved after a step, known to be whole and finite."""

    path: Path
    step: int
    state: Mapping[str, Any]  # as it was given to `save`, its tensors on the CPU
    skipped: tuple[str, ...] = ()  # why newer ones aren't used: a sentence for each


class Checkpoints:
    """The checkpoints in a folder, which is made with the first. Whoever writes holds the run's lock."""

    def __init__(self, folder: Path, files: Files = DISK) -> None:
        self.folder = folder
        self._files = files

    def save(self, step: int, state: Mapping[str, Any], keep: Collection[int] = ()) -> None:
        """Write a checkpoint; then remove all but this one, the one before it, and those of the steps in `keep`.

        Later ones are removed too: they are of a future that the run went back from. A step may be saved again.

        Args:
            step: how many steps the run has done.
            state: plain values and tensors; those under `model` are the weights.
            keep: steps whose checkpoints stay, such as the best.

        Raises:
            TrainingError: a weight is not finite; nothing is written.
            OutputError: it can't be written; what was there is still there.
        """
        if name := not_finite(state["model"]):
            reason = f"training stopped at step {step}: {printable(name)} holds numbers that are not finite"
            raise TrainingError(f"{reason}; try a lower lr; {self.last_good}")
        content = _packed(state)
        make_folder(self.folder, self._files)
        data = self._free(step)
        write(data, content, self._files, "data")
        self.rewind(step)
        write(self._manifest_path(step), Manifest.of(data.name, content).to_bytes(), self._files, "manifest")
        self._prune(step, data, keep)

    def latest(self) -> Checkpoint | None:
        """The newest good checkpoint, or None if none was ever finished.

        Raises:
            CheckpointError: none is good, or the newest is of a newer yamlnet, which could still use it.
        """
        skipped = []
        try:
            found = self._found()
        except OSError as error:
            raise CheckpointError(str(_BadFileError(self.folder, _unreadable(error)))) from None
        for step in found:
            try:
                checkpoint = self._read(step)
            except _BadFileError as bad:
                skipped.append(str(bad))
            else:
                return replace(checkpoint, skipped=tuple(skipped))
        if any(_is_finished(paths) for paths in found.values()):
            raise CheckpointError(f"no checkpoint is good: {'; '.join(skipped)}")
        return None

    def load(self, path: Path) -> Checkpoint:
        """The checkpoint in this file of the folder.

        Raises:
            CheckpointError: it isn't good.
        """
        match = _NAME.fullmatch(path.name)
        if not match or path.suffix == _MANIFEST_SUFFIX:
            raise CheckpointError(f"{shown_path(path)} is no checkpoint: they are named as step-000000100.pt is")
        try:
            checkpoint = self._read(int(match[1]))
        except _BadFileError as bad:
            raise CheckpointError(str(bad)) from None
        if checkpoint.path.name != path.name:
            raise CheckpointError(f"{shown_path(path)} was saved again, as {checkpoint.path.name}")
        return checkpoint

    @property
    def last_good(self) -> str:
        """Which checkpoint there is to go back to, as a part of a sentence."""
        with suppress(OSError):
            for step in self._found():
                with suppress(_BadFileError, CheckpointError):
                    path, _ = self._content(step)
                    return f"the last good checkpoint is {shown_path(path)}"
        return "there is no checkpoint yet"

    def rewind(self, step: int) -> None:
        """Remove what is later than `step`: a run that goes on from there gets another future.

        Raises:
            OutputError: it can't be removed.
        """
        try:
            later = [paths for other, paths in self._found().items() if other > step]
            if not later:
                return
            for paths in later:  # the newest first: what is left at any moment is how it once was
                self._remove(paths, "later removed")
            self._files.sync_folder(self.folder)
        except OSError as error:
            raise unwritable(self.folder, error) from None

    def sweep(self) -> None:
        """Remove what killed processes left half done; called at the start, with the run's lock held."""
        sweep(self.folder, self._files)
        with suppress(OSError):
            for step, paths in self._found().items():
                with suppress(_BadFileError, CheckpointError):
                    named = self._manifest(step).file if _is_finished(paths) else ""
                    self._remove([path for path in paths if _is_data(path) and path.name != named], "swept")

    def _free(self, step: int) -> Path:
        """A name that is not taken: where a step is saved again, the first file has to be whole until the commit."""
        try:
            taken = self._found().get(step, [])
        except OSError as error:
            raise unwritable(self.folder, error) from None
        endings = chain([""], (f"-{number}" for number in count(2)))
        names = (self.folder / f"{_stem(step)}{ending}.pt" for ending in endings)
        return next(path for path in names if path not in taken)

    def _prune(self, step: int, data: Path, keep: Collection[int]) -> None:
        """Remove what isn't needed any more. What can't be removed stays: that is no reason to end a run."""
        try:
            found = self._found()
        except OSError:
            return
        before = max((other for other in found if other < step and _is_finished(found[other])), default=step)
        kept = {before, *keep}
        for other, paths in found.items():
            if other == step:
                unwanted = [path for path in paths if _is_data(path) and path != data]
            else:
                unwanted = [] if other in kept else paths
            with suppress(OSError):
                self._remove(unwanted, "removed")
        self._files.reached("pruned")

    def _remove(self, paths: Sequence[Path], point: str) -> None:
        """Remove files of a step, the manifest first: without it the step doesn't count, and its data can stay."""
        for path in paths:
            try:
                self._files.remove(path)
            except OSError:
                if not _is_data(path):
                    raise
            self._files.reached(point)

    def _found(self) -> dict[int, list[Path]]:
        """The files of each step, the newest step first, its manifest before its data."""
        try:
            names = [path.name for path in self.folder.iterdir()]
        except FileNotFoundError:
            names = []
        matches = [match for name in names if (match := _NAME.fullmatch(name))]
        found: dict[int, list[Path]] = {}
        for match in sorted(matches, key=lambda match: (-int(match[1]), not match[0].endswith(_MANIFEST_SUFFIX))):
            found.setdefault(int(match[1]), []).append(self.folder / match[0])
        return found

    def _read(self, step: int) -> Checkpoint:
        path, content = self._content(step)
        return Checkpoint(path, step, _unpacked(content, path))

    def _content(self, step: int) -> tuple[Path, bytes]:
        """The data of a step, compared with its manifest before anything is made of it."""
        manifest = self._manifest(step)
        path = self.folder / manifest.file
        content = self._bytes(path)
        if what := manifest.difference(content):
            raise _BadFileError(path, what)
        return path, content

    def _manifest(self, step: int) -> Manifest:
        path = self._manifest_path(step)
        try:
            manifest = Manifest.from_bytes(self._bytes(path))
        except BadManifestError:
            raise _BadFileError(path, "is damaged") from None
        except NewerFormatError as newer:
            raise CheckpointError(f"{shown_path(path)} {newer}") from None
        match = _NAME.fullmatch(manifest.file)
        if not match or int(match[1]) != step:
            raise _BadFileError(path, f"is the manifest of another file ({printable(manifest.file)})")
        return manifest

    def _bytes(self, path: Path) -> bytes:
        try:
            return self._files.read(path)
        except FileNotFoundError:
            raise _BadFileError(path, "is missing") from None
        except IsADirectoryError:
            raise _BadFileError(path, "is a folder") from None
        except OSError as error:
            raise _BadFileError(path, _unreadable(error)) from None

    def _manifest_path(self, step: int) -> Path:
        return self.folder / f"{_stem(step)}{_MANIFEST_SUFFIX}"


def not_finite(model: Mapping[str, Any]) -> str:
    """The name of the first tensor that holds a number that is not finite; empty if there is none."""
    tensors = ((name, value) for name, value in model.items() if isinstance(value, Tensor))
    return next((name for name, tensor in tensors if not bool(tensor.isfinite().all())), "")


def _packed(state: Mapping[str, Any]) -> bytes:
    """A file's content. What couldn't be read again is refused here, where it is a bug, and not when it is needed."""
    stream = BytesIO()
    torch.save(dict(state), stream)
    _loaded(stream.getvalue())
    return stream.getvalue()


def _unpacked(content: bytes, path: Path) -> dict[str, Any]:
    try:
        state = _loaded(content)
    except Exception:  # torch has many kinds for what isn't its own
        raise _BadFileError(path, "holds something else than tensors and plain values, so it is not loaded") from None
    if not isinstance(state, dict) or not isinstance(state.get("model"), dict):
        raise _BadFileError(path, "is no checkpoint of yamlnet")
    if name := not_finite(state["model"]):
        raise _BadFileError(path, f"holds numbers that are not finite (in {printable(name)})")
    return state


def _loaded(content: bytes) -> Any:
    return torch.load(BytesIO(content), map_location="cpu", weights_only=True)


def _unreadable(error: OSError) -> str:
    return f"can't be read ({(error.strerror or str(error)).lower()})"


def _is_data(path: Path) -> bool:
    return path.suffix != _MANIFEST_SUFFIX


def _is_finished(paths: Sequence[Path]) -> bool:
    """Whether a manifest is among the files of a step."""
    return not all(map(_is_data, paths))


def _stem(step: int) -> str:
    return f"step-{step:09d}"
