"""How the cost of training grows: images per second against batch size, width, depth and threads.

    python benchmarks/scaling.py [--rounds N] [--quick]

Trains scaling.yaml with `precision: auto`, changed along one axis at a time, on one thread and on two, everything in
turn and several times. Writes benchmarks/results/scaling.md and scaling.png; `--quick` takes the first value of each
axis and prints the table alone. What planning costs, up to 100,000 layers, is plan_time.py's.
"""

import argparse
import io
import statistics
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product

from ceiling import training_flops
from digits import Digits
from figures import number, spread
from machine import machine
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter
from ours import running
from whole_process import ROOT, load_text

from builder import Plan, load_spec, make_plan
from builder.table import Column, Table

SPEC = "benchmarks/scaling.yaml"
PICTURE = "scaling.png"
RESULTS = ROOT / "benchmarks" / "results"
AXES: Mapping[str, tuple[str, Sequence[int]]] = {
    "batch size": ("training.batch_size", (16, 32, 64, 128, 256, 512)),
    "width": ("variables.width", (8, 16, 32, 64, 128)),
    "depth": ("variables.depth", (1, 2, 4, 8, 16, 32)),
}
THREADS = (1, 2)
COLOURS = ("#0072B2", "#D55E00")  # of Okabe & Ito, as in the pictures of a run
ROOM = 1.3  # below and above the curves, so that each panel has some marks on its scale
WARM_UP = 2  # steps
IMAGES, MIN_STEPS = 1024, 3  # that are timed


@dataclass(frozen=True)
class Point:
    """One value on one axis."""

    axis: str
    value: int

    @property
    def overrides(self) -> Sequence[str]:
        return [f"{AXES[self.axis][0]}={self.value}"]

    @property
    def plan(self) -> Plan:
        return make_plan(load_spec(ROOT / SPEC, self.overrides))

    def speed(self, threads: int, images: int) -> float:
        """Images per second."""
        batch_size = self.plan.spec.require_recipe().batch_size
        steps = max(MIN_STEPS, images // batch_size)
        made = f"training.dataset={{synthetic: {{train_size: {(WARM_UP + steps) * batch_size}}}}}"
        overrides = [*self.overrides, made, "training.precision=auto", f"training.threads={threads}"]
        with running(SPEC, overrides, Digits(".")) as run:
            return run.speed(WARM_UP, steps)


Speeds = Mapping[Point, Mapping[int, Sequence[float]]]  # by threads, round by round


def measured(points: Sequence[Point], rounds: int, images: int) -> Speeds:
    """All points in turn, round by round."""
    speeds: dict[Point, dict[int, list[float]]] = {point: {threads: [] for threads in THREADS} for point in points}
    for point, threads in list(product(points, THREADS)) * rounds:
        print(f"{point.axis} {point.value}, threads {threads}", file=sys.stderr)
        with redirect_stderr(io.StringIO()):
            speeds[point][threads].append(point.speed(threads, images))
    return speeds


def table(speeds: Speeds) -> Table:
    """Medians, lowest to highest, and what the arithmetic of a training step comes to."""
    titles = ["value", "params", "MACs", *(f"images/s, threads: {threads}" for threads in THREADS), "GFLOP/s", "times"]
    columns = [Column("axis"), *(Column(title, "right") for title in titles)]
    last, first = THREADS[-1], THREADS[0]
    note = f"GFLOP/s: with threads: {last}; times: images/s with threads: {last} over threads: {first}"
    return Table(columns, [row(point, by_threads) for point, by_threads in speeds.items()], notes=[note])


def row(point: Point, by_threads: Mapping[int, Sequence[float]]) -> Sequence[str]:
    """One line of the table."""
    plan = point.plan
    medians = {threads: statistics.median(each) for threads, each in by_threads.items()}
    cells = [spread(each, medians[threads]) for threads, each in by_threads.items()]
    gflops = number(medians[THREADS[-1]] * training_flops(plan) / 1e9)
    times = f"{medians[THREADS[-1]] / medians[THREADS[0]]:.2f}"
    return [point.axis, f"{point.value:,}", f"{plan.params:,}", f"{plan.macs:,}", *cells, gflops, times]


def plot(speeds: Speeds) -> Figure:
    """A panel for each axis, both scales logarithmic."""
    figure = Figure(figsize=(12, 4), dpi=100)
    figure.subplots_adjust(left=0.065, right=0.985, bottom=0.14, top=0.9, wspace=0.22)
    for axes, axis in zip(figure.subplots(1, len(AXES)), AXES, strict=True):
        draw(axes, {point: by_threads for point, by_threads in speeds.items() if point.axis == axis})
        axes.set_title(f"images per second against {axis}", fontsize=11)
    return figure


def draw(axes: Axes, speeds: Speeds) -> None:
    """A curve for each number of threads, and what they would be if time grew as the MACs do."""
    values = [point.value for point in speeds]
    for threads, colour in zip(THREADS, COLOURS, strict=True):
        medians = [statistics.median(by_threads[threads]) for by_threads in speeds.values()]
        axes.plot(values, medians, marker="o", markersize=4, color=colour, label=f"threads: {threads}")
    macs = [point.plan.macs for point in speeds]
    expected = [medians[-1] * macs[-1] / each for each in macs]
    axes.plot(values, expected, linestyle="--", linewidth=1, color="0.5", zorder=1, label="if time grew as the MACs")
    axes.set_xscale("log")
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.set_ylim(low / ROOM, high * ROOM)
    axes.set_xticks(values, [str(value) for value in values])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.grid(color="0.9")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9)


def page(speeds: Speeds, rounds: int, load: str) -> str:
    """What benchmarks/results/scaling.md says."""
    how = ", ".join(f"{name} {value}" for name, value in machine().items() if name != "threads")  # an axis here
    return f"""\
# How the cost of training grows

`python benchmarks/scaling.py --rounds {rounds}`, {datetime.now(UTC).date()}. [scaling.yaml](../scaling.yaml) is changed
along one axis at a time and trained with `precision: auto`; medians, lowest to highest. What planning costs, up to
100,000 layers, is in [plan_time.md](plan_time.md).

{how}, {load}

![Images per second against batch size, width and depth]({PICTURE})

{table(speeds).markdown()}
"""


def points(num_values: int | None = None) -> Sequence[Point]:
    """All values of each axis, or the first ones."""
    return [Point(axis, value) for axis, (_, values) in AXES.items() for value in values[:num_values]]


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description="Measure how the cost of training grows.")
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument("--quick", action="store_true", help="only try that everything runs")
    given = parser.parse_args()
    load = load_text()
    if given.quick:
        speeds = measured(points(1), rounds=1, images=1)
    else:
        speeds = measured(points(), given.rounds, IMAGES)
        (RESULTS / "scaling.md").write_text(page(speeds, given.rounds, load), encoding="utf-8")
        plot(speeds).savefig(RESULTS / PICTURE)
    print(table(speeds).text())


if __name__ == "__main__":
    main()
