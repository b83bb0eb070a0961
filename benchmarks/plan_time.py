"""How planning time grows with the number of layers: written out, repeated, each time otherwise, and in blocks.

    python benchmarks/plan_time.py [ROUNDS]

Prints medians, and the exponent of the power of the number of layers that fits them best (1 is linear); the last
results are in benchmarks/results/plan_time.md.
"""

import math
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from builder import load_spec, make_plan

HEAD = "input: [8, 8, 8]\n"
CONV = "conv2d: {out_channels: 8, kernel_size: 3, padding: 1}"
BLOCKS = """\
blocks:
  ConvReLU:
    parameters: {out_channels}
    layers: [conv2d: {out_channels: $out_channels, kernel_size: 3, padding: 1}, relu]
"""
REPEAT_OF_BLOCKS = """\
layers:
  - repeat:
      times: %d
      layers:
        - residual: [ConvReLU: {out_channels: $in_channels}]
        - ConvReLU: {out_channels: 8}
"""
REPEAT_OF_LAYERS = "layers:\n  - repeat:\n      times: %d\n      layers: [" + CONV + ", %s]\n"


def written_out(layers: int) -> str:
    """Every layer has a line of its own."""
    return HEAD + "layers:\n" + f"  - {CONV}\n  - relu\n" * (layers // 2)


def repeated(layers: int) -> str:
    """Two layers, many times."""
    return HEAD + REPEAT_OF_LAYERS % (layers // 2, "relu")


def repeated_otherwise(layers: int) -> str:
    """Two layers, many times, one of them with another number each time: no copy is as the one before."""
    return HEAD + REPEAT_OF_LAYERS % (layers // 2, "dropout: {p: $(index / count)}")


def in_blocks(layers: int) -> str:
    """Calls of a block, every other one inside a residual."""
    return HEAD + BLOCKS + REPEAT_OF_BLOCKS % (layers // 4)


FORMS: dict[str, tuple[Callable[[int], str], tuple[int, ...]]] = {
    "written out (a file has at most 1 MB)": (written_out, (1_000, 4_000, 16_000)),
    "repeated": (repeated, (1_000, 10_000, 100_000, 199_998)),  # and the most that are allowed
    "repeated, each time otherwise": (repeated_otherwise, (1_000, 10_000, 100_000)),
    "in blocks": (in_blocks, (1_000, 10_000, 100_000)),
}


def seconds(text: str, folder: Path) -> float:
    """The time from the text to the plan."""
    path = folder / "spec.yaml"
    path.write_text(text, encoding="utf-8")
    started = time.perf_counter()
    plan = make_plan(load_spec(path))
    took = time.perf_counter() - started
    del plan  # which takes time, too
    return took


def exponent(points: dict[int, float]) -> float:
    """The slope of a straight line through the logarithms, by least squares."""
    xs, ys = [math.log(layers) for layers in points], [math.log(took) for took in points.values()]
    mean_x, mean_y = statistics.mean(xs), statistics.mean(ys)
    products = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True))
    return products / sum((x - mean_x) ** 2 for x in xs)


def main() -> None:
    """Run every size of every form in turn, `ROUNDS` times."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    print(f"Python {platform.python_version()}, medians of {rounds} rounds\n")
    print("| form | layers | seconds | microseconds a layer | exponent |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        seconds(repeated(10), Path(folder))  # what is imported and cached once
        for name, (text, sizes) in FORMS.items():
            times: dict[int, list[float]] = {size: [] for size in sizes}
            for _ in range(rounds):
                for size in sizes:
                    times[size].append(seconds(text(size), Path(folder)))
            medians = {size: statistics.median(taken) for size, taken in times.items()}
            for size, median in medians.items():
                fitted = f"{exponent(medians):.2f}" if size == sizes[-1] else ""
                print(f"| {name} | {size:,} | {median:.3f} | {median / size * 1e6:.0f} | {fitted} |")


if __name__ == "__main__":
    main()
