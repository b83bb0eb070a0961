"""What a person sees while a network trains: how long it will take, and lines that a dead terminal can't stop."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import pytest

from builder.report import progress
from builder.report.progress import Progress, duration_text
from builder.training.session import Counts, Session


@dataclass
class Clock:
    """Stands until it is set."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "monotonic", clock)
    return clock


def session(epochs: int, num_images: int) -> Session:
    """As much of one as is looked at."""
    recipe = SimpleNamespace(epochs=epochs)
    data = SimpleNamespace(train=range(num_images))
    return cast(Session, SimpleNamespace(recipe=recipe, data=data, counts=Counts()))


def steps(progress: Progress, session: Session, clock: Clock, count: int, seconds: float) -> None:
    """So many steps of 100 images each."""
    for _ in range(count):
        clock.now += seconds
        session.counts.images += 100
        session.counts.loss += 230.0
        progress.observe(100, 2.3)


def test_a_long_run_says_once_how_long_it_will_take(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    run = session(epochs=3, num_images=60_000)
    with Progress(run, quiet=False) as shown:
        steps(shown, run, clock, 1, 9.0)  # the first is never typical
        steps(shown, run, clock, 9, 0.5)
        assert capsys.readouterr().err == ""
        steps(shown, run, clock, 20, 0.5)
    # 1,100 of 180,000 images are done when it can tell; 200 a second.
    assert capsys.readouterr().err == "yamlnet: 200 images/s: training will take about 15 minutes\n"


def test_a_run_that_is_gone_on_with_tells_what_is_left(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    run = session(epochs=3, num_images=60_000)
    run.counts.epoch, run.counts.images = 3, 30_000
    with Progress(run, quiet=False) as shown:
        steps(shown, run, clock, 12, 0.5)
    assert capsys.readouterr().err == "yamlnet: 200 images/s: training will take about 2 minutes\n"


@pytest.mark.parametrize(("epochs", "quiet"), [(1, False), (300, True)])
def test_a_short_run_and_a_quiet_one_say_nothing(
    clock: Clock, epochs: int, quiet: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    run = session(epochs, num_images=10_000)
    with Progress(run, quiet) as shown:
        steps(shown, run, clock, 100, 0.5)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("seconds", "text"), [(61, "61 s"), (89, "89 s"), (91, "2 minutes"), (3540, "59 minutes"), (4800, "1 h 20 min")]
)
def test_durations_are_as_exact_as_they_can_be(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_a_terminal_that_is_gone_stops_nothing(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    def dead(*arguments: Any, **named: Any) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setattr(progress, "tqdm", dead)
    run = session(epochs=1, num_images=1_000)
    with Progress(run, quiet=False) as shown:
        steps(shown, run, clock, 10, 0.1)
    assert run.counts.images == 1_000
