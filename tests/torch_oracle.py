"""What torch itself says about a network: the oracle that a plan's numbers are compared with.

Shapes come from a real forward and from one on the meta device, MACs from `torch.utils.flop_counter`, receptive fields
from gradients. Nothing here uses a formula of `builder.geometry`.

For the fields a `probe` takes the network's place: the same windows, with positive weights that sum to one, so that no
gradient cancels and every value on an image of ones is 1 unless some window on the way saw padding.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  # its usual name
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from builder import Plan, build_model
from builder.geometry import AxisField, Interval
from builder.layers import Shape
from builder.plan import ReceptiveField, Signal

TOLERANCE = 1e-9  # of a sum of weights that should be 1; a padded border takes away far more
BATCH = 2  # batch norm wants two values per channel
POOLS = (nn.MaxPool2d, nn.AvgPool2d)
ADAPTIVE_POOLS = (nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)
SOFTMAXES = (nn.Softmax, nn.LogSoftmax)
ELEMENT_WISE = (nn.ReLU, nn.LeakyReLU, nn.GELU, nn.SiLU, nn.Tanh, nn.Sigmoid, nn.Identity)
CONSTANT_IN_TESTING = (nn.BatchNorm1d, nn.BatchNorm2d, nn.Dropout, nn.Dropout2d)


@contextmanager
def one_thread() -> Iterator[None]:
    """These networks are too small to share: several threads would only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def on_meta(plan: Plan) -> nn.Sequential:
    """The network without memory: shapes and operations, no values."""
    with torch.device("meta"):
        return build_model(plan)


@one_thread()
@torch.no_grad()
def shapes(model: nn.Sequential, in_shape: Shape, device: str) -> list[Shape]:
    """What each child gives for one image."""
    model.eval()
    values = torch.zeros(BATCH, *in_shape, device=device)
    found: list[Shape] = []
    for child in model:
        values = child(values)
        found.append(tuple(values.shape[1:]))
    return found


@torch.no_grad()
def macs(meta_model: nn.Sequential, in_shape: Shape) -> list[int]:
    """Multiply-accumulates of each child for one image, as torch's counter (which counts FLOPs) has them."""
    meta_model.eval()
    with FlopCounterMode(display=False) as counter:
        meta_model(torch.zeros(BATCH, *in_shape, device="meta"))
    flops = {name: sum(by_operation.values()) for name, by_operation in counter.get_flop_counts().items()}
    counts = [flops.get(f"Sequential.{name}", 0) for name, _ in meta_model.named_children()]
    assert sum(counts) == counter.get_total_flops()  # no child is missed by its name
    return [count // (2 * BATCH) for count in counts]


def params(model: nn.Sequential) -> dict[str, int]:
    """Learnable numbers of each child, by its name."""
    return {name: sum(tensor.numel() for tensor in child.parameters()) for name, child in model.named_children()}


def buffers(model: nn.Sequential) -> dict[str, int]:
    """Numbers of each child that are kept but not learned, by its name."""
    return {name: sum(tensor.numel() for tensor in child.buffers()) for name, child in model.named_children()}


@one_thread()
def train_once(model: nn.Sequential, in_shape: Shape) -> list[str]:
    """Go forward and backward in training mode; the names of parameters that got no finite gradient."""
    model.train()
    output: Tensor = model(torch.rand(BATCH, *in_shape, requires_grad=True))
    output.square().sum().backward()
    return [
        name for name, tensor in model.named_parameters() if tensor.grad is None or not tensor.grad.isfinite().all()
    ]


class WindowOfOnes(nn.Module):
    """A pooling as a depthwise convolution with equal weights; its output size is asked of the real pooling."""

    def __init__(self, pool: nn.Module) -> None:
        super().__init__()
        self.pool = pool

    def forward(self, values: Tensor) -> Tensor:
        wanted = self.pool(torch.empty(values.shape, device="meta")).shape[-2:]
        kernel, stride, padding, dilation = (
            both(getattr(self.pool, name, 1)) for name in ("kernel_size", "stride", "padding", "dilation")
        )
        after = [
            # With ceil_mode the last window may reach further than the padding.
            max((wanted[axis] - 1) * stride[axis] + dilation[axis] * (kernel[axis] - 1) + 1 - size - padding[axis], 0)
            for axis, size in enumerate(values.shape[-2:])
        ]
        padded = F.pad(values, (padding[1], after[1], padding[0], after[0]))
        channels = values.shape[1]
        ones = torch.ones(channels, 1, *kernel, dtype=values.dtype) / (kernel[0] * kernel[1])
        result = F.conv2d(padded, ones, stride=stride, dilation=dilation, groups=channels)
        return result[..., : wanted[0], : wanted[1]]


class MeanAlong(nn.Module):
    """A softmax's dependences: along one dimension, everything on everything."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, values: Tensor) -> Tensor:
        return values.mean(self.dim, keepdim=True).expand_as(values)


def both(value: Any) -> tuple[int, int]:
    return (int(value), int(value)) if isinstance(value, int) else (int(value[0]), int(value[1]))


def probe(model: nn.Sequential, in_shape: Shape, *, thin: bool = False) -> nn.Sequential:
    """The network's windows with positive weights; `thin` leaves one channel in every layer, for large networks."""
    generator = torch.Generator().manual_seed(0)
    values = torch.zeros(1, *((1, *in_shape[1:]) if thin else in_shape), dtype=torch.float64)
    children: list[nn.Module] = []
    with torch.no_grad():
        for child in model:
            children.append(_probe_child(child, tuple(values.shape[1:]), generator, thin))
            values = children[-1](values)
    return nn.Sequential(*children)


def _probe_child(child: nn.Module, in_shape: Shape, generator: torch.Generator, thin: bool) -> nn.Module:
    if isinstance(child, nn.Conv2d):
        conv = nn.Conv2d(
            in_shape[0],
            1 if thin else child.out_channels,
            both(child.kernel_size),
            stride=both(child.stride),
            padding=child.padding if isinstance(child.padding, str) else both(child.padding),
            dilation=both(child.dilation),
            groups=1 if thin else child.groups,
            bias=False,
            dtype=torch.float64,
        )
        return _with_positive_weights(conv, generator)
    if isinstance(child, nn.Linear):
        linear = nn.Linear(in_shape[-1], 1 if thin else child.out_features, bias=False, dtype=torch.float64)
        return _with_positive_weights(linear, generator)
    if isinstance(child, POOLS):
        return WindowOfOnes(child)
    if isinstance(child, ADAPTIVE_POOLS):
        return nn.AdaptiveAvgPool2d(child.output_size)
    if isinstance(child, SOFTMAXES):
        assert child.dim is not None
        return MeanAlong(child.dim)
    if isinstance(child, nn.Flatten):
        return child
    if isinstance(child, (*ELEMENT_WISE, *CONSTANT_IN_TESTING)):
        return nn.Identity()
    raise NotImplementedError(f"no probe for {child}: add it to tests/torch_oracle.py")


def _with_positive_weights(child: nn.Conv2d | nn.Linear, generator: torch.Generator) -> nn.Module:
    with torch.no_grad():
        weights = torch.rand(child.weight.shape, generator=generator, dtype=torch.float64) + 0.1
        child.weight.copy_(weights / weights.flatten(1).sum(1).reshape(-1, *[1] * (weights.dim() - 1)))
    return child


@dataclass(frozen=True)
class Unit:
    """One number that a layer gives: its row and column in the last map, and the pixels that it depends on."""

    index: tuple[int, int]
    seen: tuple[Interval | None, Interval | None]
    is_inside: bool  # no window on the way saw padding


@one_thread()
def units(model: nn.Sequential, in_shape: Shape, *, thin: bool = False) -> list[list[Unit]]:
    """Of each child the first, the centre and the last unit, and the first and last that no padding reaches."""
    network = probe(model, in_shape, thin=thin)
    image = torch.ones(5, *((1, *in_shape[1:]) if thin else in_shape), dtype=torch.float64, requires_grad=True)
    rows, columns = (
        torch.arange(in_shape[axis]).reshape(1, 1, *((-1, 1) if axis == 1 else (1, -1))).expand_as(image[:1])
        for axis in (1, 2)
    )
    values: Tensor = image
    found: list[list[Unit]] = []
    for child in network:
        values = child(values)
        rows, columns = (_indices_after(child, values, indices, axis) for axis, indices in ((0, rows), (1, columns)))
        flat = values.flatten(1)
        centre = _centre(values.shape[1:])
        inside = ((flat[0] - 1).abs() < TOLERANCE).nonzero().flatten().tolist() or [centre]
        places = [0, centre, flat.shape[1] - 1, inside[0], inside[-1]]
        # One image of the batch for each of the units, so that one gradient tells all.
        chosen = flat[torch.arange(len(places)), torch.tensor(places)]
        (gradient,) = torch.autograd.grad(chosen.sum(), image, retain_graph=True)
        found.append(
            [
                Unit(
                    index=(int(rows.flatten()[place]), int(columns.flatten()[place])),
                    seen=(_extent(used.any(2).any(0)), _extent(used.any(1).any(0))),
                    is_inside=abs(value - 1) < TOLERANCE,
                )
                for place, used, value in zip(places, gradient != 0, chosen.tolist(), strict=True)
            ]
        )
    return found


def _indices_after(child: nn.Module, values: Tensor, indices: Tensor, axis: int) -> Tensor:
    """The row (or column) that each number of a layer's output stands for."""
    if isinstance(child, nn.Conv2d | WindowOfOnes | nn.AdaptiveAvgPool2d):
        count = values.shape[axis + 2]
        return torch.arange(count).reshape(1, 1, *((-1, 1) if axis == 0 else (1, -1))).expand_as(values[:1])
    if isinstance(child, nn.Flatten):
        result: Tensor = child(indices)
        return result
    if isinstance(child, nn.Linear):
        return indices[..., :1].expand_as(values[:1])
    return indices


def _centre(shape: Sequence[int]) -> int:
    place = 0
    for size in shape:
        place = place * size + size // 2
    return place


def _extent(used: Tensor) -> Interval | None:
    places = used.nonzero().flatten().tolist()
    return (places[0], places[-1]) if places else None


def fields(plan: Plan) -> list[tuple[AxisField, AxisField]]:
    """The plan's fields per layer and axis; the rows hold their sizes, strides and paddings."""
    signal = Signal.of_input(plan.spec.input)
    found = []
    for row in plan.rows:
        signal = signal.through(row.layer, row.name)
        assert ReceptiveField.of(signal, plan.spec.input) == row.receptive_field
        found.append(signal.fields)
    return found


def field_differences(planned: tuple[AxisField, AxisField], seen: Sequence[Unit], in_shape: Shape) -> list[str]:
    """Where the plan's intervals are not what the gradient shows.

    A unit whose windows saw padding may depend on less than its field: beyond a stride that loses pixels, the padding
    stands where those pixels would be. Then its pixels must lie inside of the field; else they must be the field.
    """
    wrong = []
    for unit in seen:
        for axis, (field, size) in enumerate(zip(planned, in_shape[1:], strict=True)):
            first, last = field.interval(unit.index[axis])
            pixels = unit.seen[axis]
            if unit.is_inside:
                agrees = pixels == (first, last)
            else:
                agrees = pixels is None or (max(first, 0) <= pixels[0] and pixels[1] <= min(last, size - 1))
            if not agrees:
                name = ("row", "column")[axis]
                wrong.append(f"{name} {unit.index[axis]}: plan {(first, last)}, torch {pixels}, {unit.is_inside=}")
    return wrong


@one_thread()
def differences(plan: Plan, *, thin: bool = False) -> list[str]:
    """Every number of the plan that is not torch's."""
    image = plan.spec.input
    model, meta = build_model(plan), on_meta(plan)
    names = [row.name for row in plan.rows]
    compared: list[tuple[str, Sequence[object], Sequence[object]]] = [
        ("names", names, [name for name, _ in model.named_children()]),
        ("shapes", [row.out_shape for row in plan.rows], shapes(model, image, "cpu")),
        ("shapes on meta", [row.out_shape for row in plan.rows], shapes(meta, image, "meta")),
        ("params", [row.params for row in plan.rows], list(params(model).values())),
        ("buffers", [row.buffers for row in plan.rows], list(buffers(model).values())),
        ("macs", [row.macs for row in plan.rows], macs(meta, image)),
    ]
    wrong = [f"{what}: plan {planned}, torch {found}" for what, planned, found in compared if planned != found]
    for name, planned, seen in zip(names, fields(plan), units(model, image, thin=thin), strict=True):
        wrong += [f"field of {name}, {difference}" for difference in field_differences(planned, seen, image)]
    return wrong
