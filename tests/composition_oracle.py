"""What torch says about a network of nested modules, at every level: the oracle for plans with composites.

Shapes come from hooks on the modules, MACs from `torch.utils.flop_counter`, receptive fields from a network of probes
in which every merge is a mean (a product stays one). One pass with forward-mode gradients, with an image for each row
and each column of the input, tells for every unit of every module which of them it depends on.
"""

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.utils.flop_counter import FlopCounterMode
from torch_oracle import BATCH, on_meta, one_thread
from torch_probes import TOLERANCE, probe

from builder import Plan, build_model
from builder.layers import Shape
from builder.modules import Add, LayerScale, Residual
from builder.plan import GroupRow, Row, with_levels

NOTHING = 10**6  # the first pixel of a unit that sees none; the last one has a minus


def paths_and_rows(plan: Plan) -> Iterator[tuple[str, Row]]:
    """Every row of every level, with the path of its module."""
    way: list[str] = []
    for row, level in with_levels(plan.rows):
        way = [*way[:level], row.name]
        yield ".".join(way), row


@one_thread()
def differences(plan: Plan) -> list[str]:
    """Every number of the plan, of all levels, that is not torch's."""
    rows = dict(paths_and_rows(plan))
    model = build_model(plan)
    if list(rows) != (found := [name for name, _ in model.named_modules() if name]):
        return [f"names: plan {list(rows)}, torch {found}"]
    seen = passed(model, torch.zeros(BATCH, *plan.spec.input))
    wrong = [
        f"{path}: {difference}" for path, row in rows.items() for difference in _in_numbers(row, model, path, seen)
    ]
    macs = macs_of(on_meta(plan), plan.spec.input)
    wrong += [f"{path}: macs {row.macs}, torch {macs[path]}" for path, row in rows.items() if row.macs != macs[path]]
    if plan.macs != macs[""]:
        wrong.append(f"macs {plan.macs}, torch {macs['']}")
    return wrong + list(field_differences(probes(model, seen), rows, plan.spec.input))


# --- shapes, parameters, MACs ---


@dataclass(frozen=True)
class Passage:
    """What went into a module and came out of it, for several images."""

    input: Tensor
    output: Tensor


def passed(model: nn.Module, images: Tensor) -> dict[str, Passage]:
    """What passes each module, by its path."""
    found: dict[str, Passage] = {}
    hooks = [module.register_forward_hook(_noting(found, path)) for path, module in model.named_modules()]
    model.eval()(images)
    for hook in hooks:
        hook.remove()
    return found


def _noting(found: dict[str, Passage], path: str) -> Callable[[nn.Module, Any, Tensor], None]:
    def note(module: nn.Module, arguments: Any, output: Tensor) -> None:
        found[path] = Passage(arguments[0], output)

    return note


def _in_numbers(row: Row, model: nn.Module, path: str, seen: Mapping[str, Passage]) -> Iterator[str]:
    module = model.get_submodule(path)
    own = sum(tensor.numel() for tensor in module.parameters(recurse=False))
    compared: dict[str, tuple[object, object]] = {
        "input": (row.in_shape, image_shape(seen[path].input, row.in_shape)),
        "output": (row.out_shape, image_shape(seen[path].output, row.out_shape)),
        "params": (row.params, sum(tensor.numel() for tensor in module.parameters())),
        "buffers": (row.buffers, sum(tensor.numel() for tensor in module.buffers())),
        "own params": (row.own_params if isinstance(row, GroupRow) else row.params, own),
    }
    return (f"{what} {planned}, torch {found}" for what, (planned, found) in compared.items() if planned != found)


def image_shape(values: Tensor, planned: Shape) -> Shape:
    """The shape for one image."""
    return tuple(as_map(values, planned, BATCH).shape[1:] if is_of_pixels(values, planned) else values.shape[1:])


def is_of_pixels(values: Tensor, planned: Shape) -> bool:
    """Whether the pixels of all images stand where else the images do, as inside of `per_pixel`."""
    return len(planned) == 3 and values.dim() == 2


def as_map(values: Tensor, planned: Shape, images: int) -> Tensor:
    """(images, channels, height, width); features are a map of one unit."""
    if is_of_pixels(values, planned):
        return values.reshape(images, *planned[1:], -1).permute(0, 3, 1, 2)
    return values if values.dim() == 4 else values.reshape(images, -1, 1, 1)


@torch.no_grad()
def macs_of(meta_model: nn.Sequential, in_shape: Shape) -> dict[str, int]:
    """Multiply-accumulates of every module for one image, by its path; the total has an empty one."""
    meta_model.eval()
    with FlopCounterMode(display=False) as counter:
        meta_model(torch.zeros(BATCH, *in_shape, device="meta"))
    flops = {name: sum(by_operation.values()) for name, by_operation in counter.get_flop_counts().items()}
    of_modules = {path: flops.get(f"Sequential.{path}", 0) for path, _ in meta_model.named_modules() if path}
    return {path: count // (2 * BATCH) for path, count in ({"": counter.get_total_flops()} | of_modules).items()}


# --- receptive fields ---


def probes(model: nn.Sequential, seen: Mapping[str, Passage]) -> nn.Sequential:
    """The network with probes in place of its layers, and means in place of sums; a product of ones is one anyway."""
    network = deepcopy(model).double()
    for path, module in list(network.named_modules()):
        if isinstance(module, LayerScale):
            nn.init.ones_(module.layer_scale)
        elif isinstance(module, Add):
            module.register_forward_hook(_divided_by(len(module._modules)))
        elif isinstance(module, Residual):
            module.register_forward_hook(_divided_by(2 if module.skip else 1))
        elif path and not list(module.children()) and not isinstance(module, nn.Sequential):
            (leaf,) = probe(nn.Sequential(module), tuple(seen[path].input.shape[1:]))
            parent, _, name = path.rpartition(".")
            network.get_submodule(parent).register_module(name, leaf)
    return network


def _divided_by(number: int) -> Callable[[nn.Module, Any, Tensor], Tensor]:
    return lambda module, arguments, output: output / number


def field_differences(network: nn.Sequential, rows: Mapping[str, Row], in_shape: Shape) -> Iterator[str]:
    """Where the fields of the rows are not what the gradients of a network of probes show."""
    _, height, width = in_shape
    images = torch.ones(height + width, *in_shape, dtype=torch.float64)
    changes = torch.zeros_like(images)
    for pixel in range(height):
        changes[pixel, :, pixel, :] = 1
    for pixel in range(width):
        changes[height + pixel, :, :, pixel] = 1
    with forward_ad.dual_level(), torch.no_grad():  # gradients pass forward even where none are to be passed back
        found = passed(network, forward_ad.make_dual(images, changes))
        for path, row in rows.items():
            values, gradients = forward_ad.unpack_dual(found[path].output)
            assert gradients is not None  # everything depends on something
            shape = row.out_shape
            depends = as_map(gradients, shape, len(images)).ne(0).any(1)
            is_inside = as_map(values, shape, len(images))[0].sub(1).abs().lt(TOLERANCE).all(0)
            for axis, of_axis in enumerate((depends[:height], depends[height:])):
                for difference in _field_differences(row, axis, of_axis, is_inside):
                    yield f"field of {path}, {difference}"


def _field_differences(row: Row, axis: int, depends: Tensor, is_inside: Tensor) -> Iterator[str]:
    """`depends` says of (pixels, height, width) on which rows (or columns) of the image each unit depends.

    A unit whose windows saw padding may depend on less than its field: then its pixels must lie inside of it. (See
    `torch_oracle`.)
    """
    pixels = torch.arange(len(depends)).reshape(-1, 1, 1)
    first = torch.where(depends, pixels, NOTHING).amin(0)
    last = torch.where(depends, pixels, -NOTHING).amax(0)
    planned = _planned(row, axis)
    low, high = (torch.tensor(ends).reshape((-1, 1) if axis == 0 else (1, -1)) for ends in zip(*planned, strict=True))
    is_within = (first >= low.clamp(min=0)) & (last <= high.clamp(max=len(depends) - 1))
    is_right = torch.where(is_inside, (first == low) & (last == high), is_within | (first == NOTHING))
    for place in (~is_right).nonzero().tolist():
        seen, inside = (int(first[*place]), int(last[*place])), bool(is_inside[*place])
        yield f"{('row', 'column')[axis]} of unit {place}: plan {planned[place[axis]]}, torch {seen}, {inside=}"


def _planned(row: Row, axis: int) -> list[tuple[int, int]]:
    """The intervals of the units; features together depend on all that any of them does."""
    field = row.receptive_field.fields[axis]
    units = row.out_shape[1 + axis] if len(row.out_shape) == 3 else field.units
    intervals = [field.interval(unit) or (NOTHING, -NOTHING) for unit in range(units)]
    if len(row.out_shape) == 3:
        return intervals
    return [(min(low for low, _ in intervals), max(high for _, high in intervals))]
