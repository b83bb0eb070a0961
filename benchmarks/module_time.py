"""A forward pass at batch 1 through networks of the zoo, against torchvision's own modules of the same network.

    python benchmarks/module_time.py [ROUNDS] [NETWORK...]

Both run in turn, on one thread, in eval mode, with the same weights. Prints medians and the ratio, pair by pair; the
last results are in benchmarks/results/module_time.md.
"""

import platform
import statistics
import sys
import time
from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision import models

from builder import build_model, load_spec, make_plan

ZOO = Path(__file__).parent.parent / "specs" / "zoo"
NETWORKS = ["resnet18", "resnet50", "squeezenet1_1", "shufflenet_v2_x1_0", "efficientnet_b0", "convnext_tiny"]
IMAGE = (1, 3, 64, 64)  # small, so that what modules cost is not hidden behind arithmetic


def pair(name: str) -> tuple[nn.Module, nn.Module]:
    """Our network and torchvision's, with the same weights."""
    ours = build_model(make_plan(load_spec(ZOO / f"{name}.yaml"))).eval()
    twin = getattr(models, name)(weights=None).eval()
    ours.load_state_dict(dict(zip(ours.state_dict(), twin.state_dict().values(), strict=True)))
    return ours, twin


def seconds(model: nn.Module, image: Tensor, passes: int) -> float:
    """The time of one pass, of so many."""
    started = time.perf_counter()
    for _ in range(passes):
        model(image)
    return (time.perf_counter() - started) / passes


@torch.no_grad()
def main() -> None:
    """Run the networks of the command line, or some that are made of many small modules."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    torch.set_num_threads(1)
    print(f"Python {platform.python_version()}, torch {torch.__version__}, {rounds} rounds, image {list(IMAGE)}\n")
    print("| network | modules, ours | modules, torchvision | ours | torchvision | ratio |")
    print("|---|---|---|---|---|---|")
    for name in sys.argv[2:] or NETWORKS:
        ours, twin = pair(name)
        image = torch.rand(IMAGE)
        assert torch.equal(ours(image), twin(image))
        times = [(seconds(ours, image, 3), seconds(twin, image, 3)) for _ in range(rounds)]
        own, theirs = (statistics.median(column) for column in zip(*times, strict=True))
        ratio = statistics.median(first / second for first, second in times)
        counts = " | ".join(f"{len(list(model.modules())):,}" for model in (ours, twin))
        print(f"| {name} | {counts} | {own * 1e3:.2f} ms | {theirs * 1e3:.2f} ms | {ratio:.3f} |")


if __name__ == "__main__":
    main()
