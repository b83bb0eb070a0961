"""Where another algorithm than torch's pays: a convolution forward and backward, by each, in both precisions.

    python benchmarks/convolution_time.py [--rounds N] [--images N] [--threads N]

Prints milliseconds of processors, medians over interleaved rounds: `torch` with channels first and last in memory, the
other algorithms with channels last. The choice of builder/algorithms/convolution.py rests on the table; the last
results are in benchmarks/results/convolutions.md.
"""

import argparse
import copy
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from unittest.mock import patch

import torch
from torch import Tensor, nn

from builder.algorithms import convolution
from builder.algorithms.lowering import Lowered
from builder.algorithms.winograd import Winograd
from builder.training.memory import keep_freed_memory

# channels in and out, size of the square map, padding: the notebook's network, and smaller and larger ones
LAYERS = [
    (16, 16, 14, 0),
    (32, 64, 28, 1),
    (64, 64, 14, 1),
    (64, 128, 14, 1),
    (128, 128, 7, 1),
    (128, 256, 14, 1),
    (256, 256, 5, 0),
    (256, 256, 8, 0),
    (256, 512, 7, 0),
    (512, 512, 4, 1),
    (512, 512, 8, 0),
    (512, 1024, 5, 0),
]
Step = Callable[[], object]


@dataclass(frozen=True)
class Layer:
    """A convolution with a 3x3 kernel, and what it is shown."""

    inputs: Tensor
    module: nn.Conv2d
    dtype: torch.dtype

    @classmethod
    def of(cls, images: int, sizes: tuple[int, int, int, int], dtype: torch.dtype) -> "Layer":
        """The layer of these channels, in and out, of a map of this size, so much padded."""
        in_channels, out_channels, size, padding = sizes
        inputs = torch.randn(images, in_channels, size, size, dtype=dtype).relu_()
        return cls(inputs, nn.Conv2d(in_channels, out_channels, 3, padding=padding), dtype)

    def by_torch(self, layout: torch.memory_format) -> Step:
        """Forward and backward as torch does it."""
        inputs = self.inputs.contiguous(memory_format=layout).requires_grad_()
        module = copy.deepcopy(self.module).to(memory_format=layout)

        def step() -> None:
            with torch.autocast("cpu", torch.bfloat16, enabled=self.dtype == torch.bfloat16):
                output = module(inputs)
            torch.autograd.grad(output, [inputs, *module.parameters()], torch.ones_like(output))

        return step

    def by(self, algorithm: type[torch.autograd.Function]) -> Step:
        """Forward and backward by another algorithm."""
        inputs = self.inputs.contiguous(memory_format=torch.channels_last).requires_grad_()
        module = copy.deepcopy(self.module).to(memory_format=torch.channels_last)
        padding = convolution.simple_padding(module)
        assert padding is not None

        def step() -> None:
            output = convolution.applied(algorithm, inputs, module.weight, module.bias, padding)
            torch.autograd.grad(output, [inputs, *module.parameters()], torch.ones_like(output))

        return step

    def choice(self) -> str:
        """What a run takes."""
        taken = ["torch"]

        def applied(algorithm: type[torch.autograd.Function], inputs: Tensor, *others: object) -> Tensor:
            taken.append(algorithm.__name__.lower())
            return inputs

        with patch.object(convolution, "applied", applied), torch.autocast("cpu", torch.bfloat16):
            convolution.convolution(self.module, self.dtype)(self.inputs)
        return taken[-1]


def milliseconds(
    steps: Mapping[str, Step], rounds: int, clock: Callable[[], float] = time.process_time
) -> dict[str, float]:
    """By default of processors, the median over rounds in which every step has its turn."""
    found: dict[str, list[float]] = {name: [] for name in steps}
    for step in steps.values():
        step()
    for _ in range(rounds):
        for name, step in steps.items():
            started = clock()
            step()
            found[name].append(1000 * (clock() - started))
    return {name: statistics.median(times) for name, times in found.items()}


def main() -> None:
    """Measure every layer in both precisions."""
    parser = argparse.ArgumentParser(description="Measure convolutions by each algorithm.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    print("| channels | map | precision | torch | torch, channels last | winograd | lowered | taken |")
    print("|---|---|---|---|---|---|---|---|")
    for sizes in LAYERS:
        for dtype in (torch.float32, torch.bfloat16):
            print(row(sizes, dtype, options.images, options.rounds), flush=True)


def row(sizes: tuple[int, int, int, int], dtype: torch.dtype, images: int, rounds: int) -> str:
    """A line of the table."""
    layer = Layer.of(images, sizes, dtype)
    steps = {"first": layer.by_torch(torch.contiguous_format), "last": layer.by_torch(torch.channels_last)}
    if dtype == torch.float32:
        steps["winograd"] = layer.by(Winograd)
    found = milliseconds(steps | {"lowered": layer.by(Lowered)}, rounds)
    names = ("first", "last", "winograd", "lowered")
    times = " | ".join(f"{found[name]:.1f}" if name in found else "-" for name in names)
    in_channels, out_channels, size, padding = sizes
    where = f"{in_channels} to {out_channels} | {size}x{size}{', padded' if padding else ''}"
    return f"| {where} | {str(dtype).removeprefix('torch.')} | {times} | {layer.choice()} |"


if __name__ == "__main__":
    main()
