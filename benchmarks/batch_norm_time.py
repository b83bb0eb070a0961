"""Where pixels side by side pay in a batch norm: forward and backward, by torch and by ours, channels last in memory.

    python benchmarks/batch_norm_time.py [--rounds N] [--images N] [--threads 1 2]

Prints milliseconds, medians over interleaved rounds. The choice of builder/algorithms/batch_norm.py rests on the table;
the last results are in benchmarks/results/batch_norms.md.
"""

import argparse
import time

import torch
from convolution_time import Step, milliseconds
from torch import Tensor, nn

from builder.algorithms import batch_norm
from builder.modules import Call
from builder.training.memory import keep_freed_memory

# channels, size of the square map
LAYERS = [(4, 14), (8, 28), (8, 14), (8, 7), (12, 28), (16, 14), (16, 28), (24, 14), (32, 14), (64, 14)]
TAKEN = (batch_norm.MAX_CHANNELS, batch_norm.MIN_NUMBERS)


def step_of(call: Call, inputs: Tensor, module: nn.BatchNorm2d) -> Step:
    """Forward and backward."""
    grad = torch.randn_like(inputs)
    return lambda: torch.autograd.grad(call(inputs), [inputs, *module.parameters()], grad)


def row(sizes: tuple[int, int], dtype: torch.dtype, images: int, threads: int, rounds: int) -> str:
    """A line of the table."""
    channels, size = sizes
    inputs = torch.randn(images, channels, size, size, dtype=dtype).contiguous(memory_format=torch.channels_last)
    inputs.requires_grad_()
    module = nn.BatchNorm2d(channels)
    torch.set_num_threads(threads)
    batch_norm.MAX_CHANNELS, batch_norm.MIN_NUMBERS = TAKEN
    taken = "torch" if batch_norm.pixels_at_once(inputs) == 1 else "ours"
    batch_norm.MAX_CHANNELS, batch_norm.MIN_NUMBERS = batch_norm.COLUMNS, 0
    calls: dict[str, Call] = {"torch": module, "ours": batch_norm.batch_norm(module)}
    steps = {name: step_of(call, inputs, module) for name, call in calls.items()}
    found = milliseconds(steps, rounds, time.perf_counter)
    name = str(dtype).removeprefix("torch.")
    times = " | ".join(f"{found[name]:.2f}" for name in calls)
    return f"| {channels} | {size}x{size} | {name} | {threads} | {times} | {taken} |"


def main() -> None:
    """Measure every layer in both precisions, by so many threads each."""
    parser = argparse.ArgumentParser(description="Measure batch norms by each algorithm.")
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    keep_freed_memory()
    print("| channels | map | precision | threads | torch | ours | taken |")
    print("|---|---|---|---|---|---|---|")
    for sizes in LAYERS:
        for dtype in (torch.float32, torch.bfloat16):
            for threads in options.threads:
                print(row(sizes, dtype, options.images, threads, options.rounds), flush=True)


if __name__ == "__main__":
    main()
