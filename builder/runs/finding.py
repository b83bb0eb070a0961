"""The folders of runs: what lies in them, and how one is named. Without torch, so that a wrong one is told at once."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from builder.exits import UsageError
from builder.problems import shown_path

SPEC_FILE = "spec.yaml"
RESOLVED_FILE = "resolved.yaml"
METRICS_FILE = "metrics.jsonl"
SUMMARY_FILE = "summary.json"
WEIGHTS_FILE = "weights.pt"
CHECKPOINTS_FOLDER = "checkpoints"

LATEST = "latest"
EXAMPLE = "such as runs/net/1"


def find_run(run: str | os.PathLike[str], runs: Path | None = None) -> Path:
    """The folder of a run; `latest` is the newest below `runs`, if that is given.

    Raises:
        UsageError: there is none.
    """
    if runs is not None and str(run) == LATEST:
        newest = _newest_run_below(runs)
        if newest is None:
            raise UsageError(f"no run lies below {shown_path(runs)}; choose another folder with --runs")
        return newest
    folder = Path(run)
    if not is_file(folder / RESOLVED_FILE):
        raise UsageError(_why_no_run(folder))
    return folder


def find_checkpoint(run: str, runs: Path) -> tuple[Path, Path | None]:
    """The folder of a run, and the checkpoint if it is one that is named.

    Raises:
        UsageError: there is none.
    """
    file = Path(run)
    if file.suffix == ".pt" and file.parent.name == CHECKPOINTS_FOLDER:
        if not is_file(file):
            raise UsageError(f"there is no checkpoint {shown_path(file)}")
        return find_run(file.parent.parent), file
    return find_run(run, runs), None


def read_summary(folder: Path) -> Mapping[str, Any] | None:
    """What `summary.json` says, if the run has been finished."""
    try:
        document = json.loads((folder / SUMMARY_FILE).read_bytes())
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) else None


def is_file(path: Path) -> bool:
    """Whether there is one; for any name, also one that the system finds too long."""
    return os.path.isfile(path)  # noqa: PTH113  # the method of Path raises for long names


def _newest_run_below(folder: Path) -> Path | None:
    """The run that was started last; runs lie one or two levels deeper."""
    found = [file.parent for pattern in ("*", "*/*") for file in folder.glob(f"{pattern}/{SPEC_FILE}")]
    return max(found, key=lambda run: ((run / SPEC_FILE).stat().st_mtime_ns, run.name.zfill(9)), default=None)


def _why_no_run(folder: Path) -> str:
    if is_file(folder):
        return f"{shown_path(folder)} is a file; a run is a folder {EXAMPLE}"
    if str(folder) == LATEST:
        return f"`{LATEST}` names no run here; write the folder of one, {EXAMPLE}"
    if not os.path.exists(folder):  # noqa: PTH110  # as in `is_file`
        nearest = next((parent for parent in folder.parents if parent.is_dir()), None)
        newest = _newest_run_below(nearest) if nearest and nearest != Path() else None
        return f"there is no run {shown_path(folder)}" + (f"; the newest is {shown_path(newest)}" if newest else "")
    newest = _newest_run_below(folder)
    what = f"{shown_path(folder)} is no run: it holds no {RESOLVED_FILE}"
    return what + (f"; the newest run below it is {shown_path(newest)}" if newest else "")
