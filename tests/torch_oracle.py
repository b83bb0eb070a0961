"""What torch itself says about a network: the oracle that a plan's numbers are compared with.

Shapes come from a real forward and from one on the meta device, MACs from `torch.utils.flop_counter`, receptive fields
from gradients (see `torch_probes`). Nothing here uses a formula of `builder.geometry`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from torch_probes import TOLERANCE, MeanAlong, MeanOfHalves, probe

from builder import Plan, build_model
from builder.geometry import AxisField, Interval
from builder.layers import Shape

BATCH = 2  # batch norm wants two values per channel


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
def shapes(model: nn.Sequential, in_shape: Shape, device: str, dtype: torch.dtype = torch.float32) -> list[Shape]:
    """What each child gives for one image."""
    model.eval()
    values = torch.zeros(BATCH, *in_shape, device=device, dtype=dtype)
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


@dataclass(frozen=True)
class Unit:
    """One number that a layer gives: its row and column in the last map, and the pixels that it depends on."""

    index: tuple[int, int]
    seen: tuple[Interval | None, Interval | None]
    is_inside: bool  # no window on the way saw padding


@one_thread()
def units(
    model: nn.Sequential, in_shape: Shape, *, thin: bool = False, every_position: bool = False
) -> list[list[Unit]]:
    """Of each child the first, the centre and the last unit, and the first and last that no padding reaches.

    With `every_position` all units of the first channel instead, for small networks.
    """
    network = probe(model, in_shape, thin=thin)
    in_shape = (1, *in_shape[1:]) if thin else in_shape
    most = max(prod(shape[1:]) for shape in shapes(network, in_shape, "cpu", torch.float64)) if every_position else 5
    image = torch.ones(most, *in_shape, dtype=torch.float64, requires_grad=True)
    rows, columns = (
        torch.arange(in_shape[axis]).reshape(1, 1, *((-1, 1) if axis == 1 else (1, -1))).expand_as(image[:1])
        for axis in (1, 2)
    )
    values: Tensor = image
    found: list[list[Unit]] = []
    for child in network:
        before, values = values, child(values)
        rows, columns = (
            _indices_after(child, before, values, indices, axis) for axis, indices in ((0, rows), (1, columns))
        )
        flat = values.flatten(1)
        centre = _centre(values.shape[1:])
        inside = ((flat[0] - 1).abs() < TOLERANCE).nonzero().flatten().tolist() or [centre]
        places = [0, centre, flat.shape[1] - 1, inside[0], inside[-1]]
        if every_position:
            places = list(range(prod(values.shape[2:])))
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
                for place, used, value in zip(places, gradient[: len(places)] != 0, chosen.tolist(), strict=True)
            ]
        )
    return found


def _indices_after(child: nn.Module, before: Tensor, values: Tensor, indices: Tensor, axis: int) -> Tensor:
    """The row (or column) that each number of a layer's output stands for."""
    if isinstance(child, nn.Flatten | nn.Unflatten):
        result: Tensor = child(indices)
        return result
    if isinstance(child, MeanOfHalves):
        return indices.chunk(2, child.dim)[0]
    if isinstance(child, nn.Linear):
        return indices[..., :1].expand_as(values[:1])
    if isinstance(child, nn.Identity | MeanAlong | nn.ChannelShuffle):
        return indices
    count = values.shape[-1] if values.dim() == 3 else values.shape[axis + 2]
    if values.dim() == 4:
        return torch.arange(count).reshape(1, 1, *((-1, 1) if axis == 0 else (1, -1))).expand_as(values[:1])
    # Along rows: the axis that they run over is counted anew, the other stays as it was.
    runs_along = bool((indices[..., :1] != indices).any())
    kept = indices[..., :1] if values.shape[1] == before.shape[1] else indices[:, :1, :1]
    return (torch.arange(count) if runs_along else kept).expand_as(values[:1])


def _centre(shape: Sequence[int]) -> int:
    place = 0
    for size in shape:
        place = place * size + size // 2
    return place


def _extent(used: Tensor) -> Interval | None:
    places = used.nonzero().flatten().tolist()
    return (places[0], places[-1]) if places else None


def fields(plan: Plan) -> list[tuple[AxisField, AxisField]]:
    """The plan's fields per top-level row and axis."""
    return [row.receptive_field.fields for row in plan.rows]


def field_differences(planned: tuple[AxisField, AxisField], seen: Sequence[Unit], in_shape: Shape) -> list[str]:
    """Where the plan's intervals are not what the gradient shows.

    A unit whose windows saw padding may depend on less than its field: beyond a stride that loses pixels, the padding
    stands where those pixels would be. Then its pixels must lie inside of the field; else they must be the field.
    """
    wrong = []
    for unit in seen:
        for axis, (field, size) in enumerate(zip(planned, in_shape[1:], strict=True)):
            interval, pixels = field.interval(unit.index[axis]), unit.seen[axis]
            if unit.is_inside or interval is None:
                agrees = pixels == interval
            else:
                first, last = interval
                agrees = pixels is None or (max(first, 0) <= pixels[0] and pixels[1] <= min(last, size - 1))
            if not agrees:
                name = ("row", "column")[axis]
                wrong.append(f"{name} {unit.index[axis]}: plan {interval}, torch {pixels}, {unit.is_inside=}")
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
