"""Where the time of a training step goes: layer by layer, forward and backward, and outside the layers."""

from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import Enum
from statistics import median
from time import perf_counter

import torch
from torch import Tensor
from torch.autograd.graph import Node
from torch.utils.hooks import RemovableHandle

from builder.algorithms.products import product
from builder.modules import Call
from builder.plan.named_layers import by_name
from builder.training.loop import batch_loss
from builder.training.precision import dtype_of
from builder.training.session import Session

PRODUCT_SIZE = 2048
PRODUCT_SECONDS = 0.7  # of several products
WARM_UP_STEPS = 2  # in which memory is found and kernels are made
MIN_STEPS, MAX_STEPS = 3, 100
STEPS_SECONDS = 10.0  # after which, between these bounds, it is enough


class Direction(Enum):
    """In which a layer, or the loss, is computed."""

    FORWARD = "forward"
    BACKWARD = "backward"


class Outside(Enum):
    """What a step does outside the layers."""

    BATCH = "batch"
    LOSS = "loss"
    OPTIMIZER = "optimizer"
    BETWEEN = "between layers"  # sums of branches, copies from one order or type to another, the watching itself


Name = str | Outside  # of a layer, joined by dots to those of the composites around it, or of what is outside


@dataclass(frozen=True)
class Pass:
    """A layer computed in one direction."""

    seconds: float
    flops: int  # of all images of the step


@dataclass(frozen=True)
class LayerProfile:
    """What a layer takes of a step, or a composite that is computed as one."""

    name: str
    passes: Mapping[Direction, Pass]  # backward only where something learns

    @property
    def seconds(self) -> float:
        return sum(each.seconds for each in self.passes.values())

    @property
    def flops(self) -> int:
        return sum(each.flops for each in self.passes.values())


@dataclass(frozen=True)
class Profile:
    """A typical step of a training."""

    name: str  # of the network
    device: torch.device
    precision: str
    is_compiled: bool  # in a run; here layers are called one by one
    ceiling: float  # FLOP/s of a large product of matrices
    images: int  # of a step
    step_seconds: Sequence[float]  # of each step that was timed
    layers: Sequence[LayerProfile]  # in the order in which they are computed
    outside: Mapping[Outside, float]  # seconds

    @property
    def seconds(self) -> float:
        """The sum of all parts."""
        return sum(layer.seconds for layer in self.layers) + sum(self.outside.values())

    @property
    def flops(self) -> int:
        return sum(layer.flops for layer in self.layers)

    @property
    def to_attack(self) -> LayerProfile:
        """The layer that takes longest beyond what its operations would take at the ceiling."""
        return max(self.layers, key=lambda layer: layer.seconds - layer.flops / self.ceiling)


def profile(session: Session) -> Profile:
    """Time some steps on real batches; they train the session's network, which is not meant to be kept.

    On a GPU every part is waited for, so that a step takes longer than in a run.
    """
    ceiling = product_flops_per_second(session.engine.precision, session.device)
    steps = timed_steps(session)
    step = typical(steps)
    return Profile(
        name=session.plan.name,
        device=session.device,
        precision=session.engine.precision,
        is_compiled=bool(session.recipe.compile),
        ceiling=ceiling,
        images=step.images,
        step_seconds=[each.seconds for each in steps],
        layers=layer_profiles(session, step),
        outside={name: sum(step.passes(name).values()) for name in Outside},
    )


def product_flops_per_second(precision: str, device: torch.device) -> float:
    """What the machine reaches in the product of two square matrices: the best of a few."""
    left, right = torch.rand(2, PRODUCT_SIZE, PRODUCT_SIZE, device=device).to(dtype_of(precision, device))
    product(left, right)  # the first time takes longer
    times: list[float] = []
    while sum(times) < PRODUCT_SECONDS:
        started = now(device)
        product(left, right)
        times.append(now(device) - started)
    return 2 * PRODUCT_SIZE**3 / min(times)


# ---------------------------------------------------------------------------------------------------------------- steps


@dataclass(frozen=True)
class Step:
    """What a step took."""

    images: int
    parts: Mapping[tuple[Name, Direction], float]  # seconds, in the order in which they were computed
    wants_input_gradient: Set[Name]  # those whose inputs depend on something that learns

    @property
    def seconds(self) -> float:
        return sum(self.parts.values())

    def passes(self, name: Name) -> dict[Direction, float]:
        """The seconds of a part in each direction in which it was computed."""
        return {direction: self.parts[name, direction] for direction in Direction if (name, direction) in self.parts}


def timed_steps(session: Session) -> list[Step]:
    """As many steps as there is time for."""
    session.start_training()
    batches = full_batches(session)
    for _ in range(WARM_UP_STEPS):
        timed_step(session, next(batches))
    steps: list[Step] = []
    while len(steps) < MIN_STEPS or (len(steps) < MAX_STEPS and sum(step.seconds for step in steps) < STEPS_SECONDS):
        steps.append(timed_step(session, next(batches)))
    return steps


def full_batches(session: Session) -> Iterator[Tensor]:
    """Positions of images, without end; the smaller last batch of an epoch is left out."""
    size = min(session.recipe.images_per_step, len(session.data.train))
    while True:
        yield from (indices for indices in session.sampler if len(indices) == size)
        session.sampler.start_epoch()


def timed_step(session: Session, indices: Tensor) -> Step:
    """Train with the images at these positions, and time it."""
    watch = StopWatch(session.device)
    forward = session.engine.training(session.model, watch.layer)
    started = now(session.device)
    train_step(session, indices, forward, watch)
    seconds = now(session.device) - started
    watch.remove_hooks()
    between = {(Outside.BETWEEN, Direction.FORWARD): seconds - sum(watch.parts.values())}
    return Step(len(indices), watch.parts | between, watch.wants_input_gradient)


def train_step(session: Session, indices: Tensor, forward: Call, watch: "StopWatch") -> None:
    """What the loop does in a step, watched."""
    with watch.part(Outside.OPTIMIZER):
        session.optimizer.zero_grad(set_to_none=True)
    parts = indices.split(session.recipe.batch_size)
    for part in parts:
        backpropagate(session, part, indices if len(parts) > 1 else None, forward, watch)
    with watch.part(Outside.OPTIMIZER):
        session.clip_gradients()
        session.engine.step(session.optimizer)
        session.after_step()


def backpropagate(session: Session, indices: Tensor, whole: Tensor | None, forward: Call, watch: "StopWatch") -> None:
    """Add the gradients of a batch, or of a part of a `whole` one."""
    with watch.part(Outside.BATCH):
        inputs, targets = session.batch(session.data.train, indices)
    loss = watch.layer(Outside.LOSS, lambda output: batch_loss(session, output, targets, whole))(forward(inputs))
    if loss.requires_grad:
        session.engine.backward(loss)
    with watch.part(Outside.LOSS):
        loss.item()  # waits for a GPU


def typical(steps: Sequence[Step]) -> Step:
    """A step whose parts take as long as each of them in the median."""
    return replace(steps[0], parts={part: median(step.parts[part] for step in steps) for part in steps[0].parts})


def layer_profiles(session: Session, step: Step) -> list[LayerProfile]:
    """The layers of a step, in the order in which they were computed.

    A multiply-accumulate is two operations forward; backward two for the gradient of the weight, and two for that of
    the input.
    """
    rows = dict(by_name(session.plan.rows))
    profiles = []
    for name in dict.fromkeys(name for name, _ in step.parts if isinstance(name, str)):
        flops = 2 * rows[name].macs * step.images
        learns = any(parameter.requires_grad for parameter in session.model.get_submodule(name).parameters())
        gradients = learns + (name in step.wants_input_gradient)
        flops_of = {Direction.FORWARD: flops, Direction.BACKWARD: flops * gradients}
        passes = {direction: Pass(seconds, flops_of[direction]) for direction, seconds in step.passes(name).items()}
        profiles.append(LayerProfile(name, passes))
    return profiles


# ------------------------------------------------------------------------------------------------------ the stop watch


class StopWatch:
    """Adds up what each part of a step takes."""

    def __init__(self, device: torch.device) -> None:
        self.parts: dict[tuple[Name, Direction], float] = {}
        self.wants_input_gradient: set[Name] = set()
        self._device = device
        self._hooks: list[RemovableHandle] = []

    @contextmanager
    def part(self, name: Name) -> Iterator[None]:
        """Count what happens within."""
        started = now(self._device)
        yield
        self._add(name, Direction.FORWARD, started)

    def layer(self, name: Name, call: Call) -> Call:
        """The call, counted, and so is what computes its gradients."""

        def watched(inputs: Tensor) -> Tensor:
            before = inputs.grad_fn  # as it is now: a call may write over its inputs
            if inputs.requires_grad:
                self.wants_input_gradient.add(name)
            with self.part(name):
                output = call(inputs)
            for node in own_nodes(output.grad_fn, before):
                self._watch_node(name, node)
            return output

        return watched

    def remove_hooks(self) -> None:
        """To be called after a step: the nodes that add to the gradients of weights may live on."""
        for hook in self._hooks:
            hook.remove()

    def _watch_node(self, name: Name, node: Node) -> None:
        started = 0.0

        def start(grad_outputs: object) -> None:
            nonlocal started
            started = now(self._device)

        def end(grad_inputs: object, grad_outputs: object) -> None:
            self._add(name, Direction.BACKWARD, started)

        self._hooks += [node.register_prehook(start), node.register_hook(end)]

    def _add(self, name: Name, direction: Direction, started: float) -> None:
        seconds = now(self._device) - started
        self.parts[name, direction] = self.parts.get((name, direction), 0.0) + seconds


def own_nodes(last: Node | None, before: Node | None) -> list[Node]:
    """What computes the gradients of a call, in torch's graph.

    Args:
        last: the node of its output.
        before: the node of its input, which belongs to another call.
    """
    nodes: list[Node] = []
    found = [last]
    while found:
        node = found.pop()
        if node is not None and node is not before and node not in nodes:
            nodes.append(node)
            found += [next_node for next_node, _ in node.next_functions]
    return nodes


def now(device: torch.device) -> float:
    """The time, in seconds, when all that was begun on the device is done."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
    return perf_counter()
