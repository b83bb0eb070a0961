"""TensorBoard's curves of a run."""

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from builder.exits import say

FILE_VERSION = "brain.Event:2"  # the first record of a file; TensorBoard reads no other version
POSITIONS = ("epoch", "step")  # say where on the curves, and are no curves themselves


class TensorBoard:
    """A curve for each metric, over the epochs, in a folder of a run, which is made if need be.

    A run that is resumed draws the same curves anew, from its first epoch, in place of what was there. If they can't be
    written, that is said once, and the training goes on without them.

    Written here and not by torch's `SummaryWriter`, whose thread ends with a traceback when the disk is full.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / f"events.out.tfevents.{int(time.time())}.{os.getpid()}"
        self._is_on = True
        self._write(Event(file_version=FILE_VERSION))
        # What other files of the folder hold from this step on doesn't count any more.
        self._write(Event(step=1, session_log=SessionLog(status=SessionLog.START)))
        self._num_drawn = 0  # epochs

    def draw(self, metrics: Sequence[Mapping[str, Any]]) -> None:
        """Add what is new in the lines of `metrics.jsonl`."""
        for line in metrics[self._num_drawn :]:
            values = [Summary.Value(tag=name, simple_value=line[name]) for name in line if name not in POSITIONS]
            self._write(Event(step=line["epoch"], summary=Summary(value=values)))
        self._num_drawn = len(metrics)

    def _write(self, event: Event) -> None:
        if not self._is_on:
            return
        event.wall_time = time.time()
        try:
            self._file.parent.mkdir(exist_ok=True)
            with self._file.open("ab") as file:
                RecordWriter(file).write(event.SerializeToString())
        except OSError as error:
            say(f"the curves for TensorBoard end here: {(error.strerror or str(error)).lower()}")
            self._is_on = False
