"""What is measured of a run. Each function gives figures by name, and wants a process of its own.

A run is made as runner.py makes one and goes through the same loop, with everything that it does between two steps.
"""

import statistics
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from ceiling import speed_figures
from comparison import seconds
from digits import Digits
from traffic import traffic_figures
from whole_process import ROOT, peak_megabytes

import runner
from builder import build_model, load_spec, make_plan
from builder.data.images import Images
from builder.exits import DataError
from builder.options import train_options
from builder.report.progress import Progress
from builder.runs.directory import RunDirectory
from builder.training.keeper import RunKeeper
from builder.training.loop import EpochResult, test_on, train_epoch
from builder.training.loop import train as train_whole


class Enough(Exception):  # noqa: N818  # an end, not an error
    """As many steps as were wanted."""


class Run:
    """A run that can be stopped after some steps and goes on from there."""

    def __init__(self, spec: str, overrides: Sequence[str], digits: Digits, folder: Path) -> None:
        words = [str(ROOT / spec), *digits.overrides, *overrides, "--data-dir", digits.root, "--device", "cpu"]
        options = train_options([*words, "--quiet"], str(runner.__doc__))
        loaded = load_spec(options.specs[0], options.overrides)
        self.session = runner.prepare(loaded, loaded.require_recipe().dataset, options, is_new=True)
        if self.session.data.fallback_used:
            raise DataError(f"nothing is compared on other images: {self.session.data.fallback_reason}")
        self._keeper = RunKeeper(self.session, RunDirectory(folder), options.save_every)
        self._progress = Progress(self.session, quiet=False)

    def train(self, steps: int) -> None:
        """So many steps of the epoch."""
        left = steps

        def observe(images: int, loss: float) -> None:
            nonlocal left
            self._progress.observe(images, loss)
            left -= 1
            if not left:
                raise Enough

        with suppress(Enough):
            train_epoch(self.session, self._keeper, observe)
        assert not left, f"an epoch has fewer than {steps} steps"

    def speed(self, warm_up: int, steps: int) -> float:
        """Images per second of so many steps, behind some to warm up."""
        self.train(warm_up)
        return steps * self.session.recipe.batch_size / seconds(lambda: self.train(steps))

    def train_whole(self) -> EpochResult:
        """All epochs with their tests; the last one."""
        *_, last = train_whole(self.session, self._keeper, self._progress.observe)
        return last

    def test(self, images: Images) -> None:
        test_on(self.session, images, self._keeper)


@contextmanager
def running(spec: str, overrides: Sequence[str], digits: Digits) -> Iterator[Run]:
    """A run in a folder that goes away with it."""
    with TemporaryDirectory() as folder:
        yield Run(spec, overrides, digits, Path(folder))


def train(
    spec: str, overrides: Sequence[str], digits: Digits, warm_up: int, steps: int, flops: int, product: int
) -> dict[str, float]:
    """How fast a run trains, over so many steps behind some to warm up."""
    with running(spec, overrides, digits) as run:
        return speed_figures(run.speed(warm_up, steps), flops, run.session.engine.precision, product)


def test(spec: str, overrides: Sequence[str], digits: Digits) -> dict[str, float]:
    """One pass over the test images, behind a step of training."""
    with running(spec, overrides, digits) as run:
        run.train(1)
        return {"seconds": seconds(lambda: run.test(run.session.data.test))}


def read(spec: str, overrides: Sequence[str], digits: Digits, counted: int, times: int) -> dict[str, float]:
    """One pass over the training images, of which nothing is made, the median of several; bytes over a few batches."""
    with running(spec, overrides, digits) as run:
        session = run.session

        def batches() -> Iterator[object]:
            session.sampler.start_epoch()
            return (session.batch(session.data.train, indices) for indices in session.sampler)

        took = statistics.median(seconds(lambda: deque(batches(), maxlen=0)) for _ in range(times))
        images = counted * session.recipe.batch_size
        return {"seconds": took} | traffic_figures(lambda: deque(islice(batches(), counted), maxlen=0), images)


def build(spec: str, times: int) -> dict[str, float]:
    """The network of a plan; the median of many times."""
    plan = make_plan(load_spec(ROOT / spec))
    return {"seconds": statistics.median(seconds(lambda: build_model(plan)) for _ in range(times))}


def memory(spec: str, overrides: Sequence[str], digits: Digits, steps: int, test_images: int) -> dict[str, float]:
    """The peak of a whole process that trains a network, and with a test behind it."""
    with running(spec, overrides, digits) as run:
        run.train(steps)
        trained = peak_megabytes()
        test = run.session.data.test
        run.test(replace(test, images=test.images[:test_images], labels=test.labels[:test_images]))
        return {"megabytes_training": trained, "megabytes_testing": peak_megabytes()}


def reach(spec: str, overrides: Sequence[str], digits: Digits, seed: int) -> dict[str, float]:
    """A whole run from its spec to the test behind its last epoch; data loading and compilation are included."""
    import torch._inductor  # torch imports it when it first wants it; scripts have it from torchvision  # noqa: F401

    ends: list[EpochResult] = []

    def whole() -> None:
        with running(spec, [*overrides, f"training.seed={seed}"], digits) as run:
            ends.append(run.train_whole())

    return {"seconds": seconds(whole), "epochs": ends[0].epoch, "accuracy": 100 * ends[0].test.accuracy}
