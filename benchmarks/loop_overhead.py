"""What the training loop costs beside a bare one, written by hand, that does the same with the same tensors.

    python benchmarks/loop_overhead.py [NETWORK...]

Both train in turn on one thread, an epoch each per round, from the same weights and on the same batches; at the end
their weights are equal to the last bit. Ours runs as in `runner.py` without a terminal: it watches for signals, for
the time to save, and for how long it will take. Rounds are short and many, so that a round in which the machine did
something else says nothing. Prints medians, and medians of the differences and ratios round by round; the last results
are in benchmarks/results/loop_overhead.md.
"""

import io
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from whole_process import ROOT, load_text

from builder import build_model, load_spec, make_plan
from builder.data.images import Data, Images, load_data
from builder.plan import Plan
from builder.report.progress import Progress
from builder.runs.directory import RunDirectory
from builder.training.keeper import RunKeeper
from builder.training.loop import train_epoch
from builder.training.session import Session

CPU = torch.device("cpu")
CLOCKS: Mapping[str, Callable[[], float]] = {"processor": time.process_time, "wall": time.perf_counter}
SAME_OPERATIONS = ["training.fast_algorithms=false", "training.channels_last=false"]
NEVER = float("inf")  # seconds: a checkpoint takes time of its own

TRIVIAL = """\
input: [1, 28, 28]
layers: [flatten, {linear: {out_features: 10}}]
training:
  dataset: synthetic
  epochs: 1
  batch_size: 32
  loss: cross_entropy
  optimizer: {sgd: {lr: 0.01}}
"""


@dataclass(frozen=True)
class Case:
    """A network, and how long it is trained."""

    spec: str
    steps: int  # a round
    rounds: int


CASES = {
    "trivial": Case(TRIVIAL, steps=100, rounds=200),
    "net.yaml": Case((ROOT / "specs" / "net.yaml").read_text(encoding="utf-8"), steps=2, rounds=30),
}


class Bare:
    """The loop as one writes it by hand."""

    def __init__(self, plan: Plan, images: Images) -> None:
        recipe = plan.spec.require_recipe()
        torch.manual_seed(recipe.seed)
        self.model = build_model(plan)
        self.images = images
        self.loss: nn.Module = recipe.loss.training_loss()
        self.optimizer: Optimizer = recipe.optimizer.optimizer(self.model.parameters())
        self.generator = torch.Generator().manual_seed(recipe.seed)
        self.batch_size = recipe.batch_size
        steps = recipe.steps_per_epoch(len(images))
        self.scheduler: LRScheduler | None = None
        if recipe.scheduler:
            self.scheduler = recipe.scheduler.scheduler(self.optimizer, recipe.epochs * steps, steps)

    def epoch(self) -> float:
        """Train on all images, in an order of their own; the mean loss."""
        images, labels, mean, std = self.images.images, self.images.labels, self.images.mean, self.images.std
        model, loss_of, optimizer, scheduler = self.model, self.loss, self.optimizer, self.scheduler
        total = 0.0
        model.train()
        for indices in torch.randperm(len(labels), generator=self.generator).split(self.batch_size):
            inputs = images.index_select(0, indices).to(torch.float32).div_(255).sub_(mean).div_(std)
            optimizer.zero_grad(set_to_none=True)
            loss = loss_of(model(inputs), labels.index_select(0, indices))
            loss.backward()
            optimizer.step()
            if scheduler:
                scheduler.step()
            total += loss.item() * len(indices)
        return total / len(labels)


class Ours:
    """The loop as `runner.py` runs it."""

    def __init__(self, plan: Plan, data: Data, folder: Path) -> None:
        torch.manual_seed(plan.spec.require_recipe().seed)
        self.session = Session(plan, build_model(plan), data)
        self.keeper = RunKeeper(self.session, RunDirectory(folder), NEVER)
        self.progress = Progress(self.session, quiet=False)

    def epoch(self) -> float:
        """Train on all images, and draw the next order; the mean loss."""
        train_epoch(self.session, self.keeper, self.progress.observe)
        counts = self.session.counts
        mean_loss = counts.loss / counts.images
        self.session.finish_epoch(None)
        return mean_loss


def timed(epoch: Callable[[], float]) -> tuple[float, Mapping[str, float]]:
    """The mean loss of an epoch, and the seconds that it takes by each clock."""
    started = {name: clock() for name, clock in CLOCKS.items()}
    loss = epoch()
    return loss, {name: clock() - started[name] for name, clock in CLOCKS.items()}


def times(case: Case, folder: Path) -> Sequence[tuple[Mapping[str, float], Mapping[str, float]]]:
    """Of an epoch, ours and the bare one's, round by round; they take turns at being first."""
    plan = plan_of(case, folder)
    data = load_data(plan.spec.require_recipe().dataset, data_dir=None, offline=True, device=CPU)
    ours, bare = Ours(plan, data, folder), Bare(plan, data.train)
    pairs = []
    for number in range(case.rounds + 1):
        if number % 2:
            (our_loss, our_time), (bare_loss, bare_time) = timed(ours.epoch), timed(bare.epoch)
        else:
            (bare_loss, bare_time), (our_loss, our_time) = timed(bare.epoch), timed(ours.epoch)
        assert our_loss == bare_loss
        pairs.append((our_time, bare_time))
    weights = zip(ours.session.model.parameters(), bare.model.parameters(), strict=True)
    assert all(torch.equal(our_weight, bare_weight) for our_weight, bare_weight in weights)
    return pairs[1:]  # the first warms up


def plan_of(case: Case, folder: Path) -> Plan:
    """With as many images as a round has steps for, and an epoch for each round."""
    path = folder / "spec.yaml"
    path.write_text(case.spec, encoding="utf-8")
    batch_size = load_spec(path).require_recipe().batch_size
    dataset = f"{{synthetic: {{train_size: {case.steps * batch_size}}}}}"
    length = [f"training.dataset={dataset}", f"training.epochs={case.rounds + 1}"]
    return make_plan(load_spec(path, [*length, *SAME_OPERATIONS]))


def main() -> None:
    """Time the networks of the command line, or all."""
    torch.set_num_threads(1)
    print(f"Python {platform.python_version()}, torch {torch.__version__}, {load_text()}\n")
    print("| network | rounds of steps | clock | bare | ours | difference | ratio |")
    print("|---|---|---|---|---|---|---|")
    for network in sys.argv[1:] or CASES:
        case = CASES[network]
        with TemporaryDirectory() as folder, redirect_stderr(io.StringIO()):  # no terminal
            pairs = times(case, Path(folder))
        for clock in CLOCKS:
            ours, bare = ([pair[which][clock] / case.steps * 1e6 for pair in pairs] for which in (0, 1))
            medians = f"{statistics.median(bare):,.0f} us | {statistics.median(ours):,.0f} us"
            difference = statistics.median(our - other for our, other in zip(ours, bare, strict=True))
            ratio = statistics.median(our / other for our, other in zip(ours, bare, strict=True))
            length = f"{case.rounds} of {case.steps}"
            print(f"| {network} | {length} | {clock} | {medians} | {difference:+,.0f} us | {ratio:.3f} |", flush=True)


if __name__ == "__main__":
    main()
