"""A signal goes through one layer: what leaves it, or why the layer can't work on what arrives."""

from math import prod
from typing import Any

from builder.fields import pair_text
from builder.geometry import Window
from builder.kinds import Misfit, MisfitError
from builder.layers import Layer
from builder.layers.base import check_rank, shape_text
from builder.limits import MAX_ACTIVATION, MAX_FIELD, MAX_PARAMS
from builder.problems import either
from builder.signals import CHANNELS, Shape, Signal

AXIS_NAMES = ("rows", "columns")  # as what one runs over
DIMENSIONS = {2: ("height", "width"), 1: ("length",)}


def through(layer: Layer, name: str, signal: Signal) -> Signal:
    """What leaves the layer; `name` is for messages.

    Raises:
        MisfitError: the layer can't work on this signal.
    """
    if signal.pixels is not None and not (layer.acts_on_pixels and 1 in layer.ranks):
        height, width = signal.pixels
        message = (
            f"`{layer.kind}` can't act on single pixels, and `per_pixel` gives it the {height}x{width} map as "
            f"{height * width:,} pixels of {signal.channels} channels each"
        )
        raise MisfitError(Misfit("wrong-rank", message, "take it out of the `per_pixel` around it"))
    check_rank(layer, signal.shape)
    layer.check_input(signal.shape)
    if layer.slides:
        _check_windows(layer, name, signal.shape)
        _check_axes(layer, signal)
    shape = layer.output_shape(signal.shape)
    after = _after(layer, signal, shape)
    _check_limits(layer, name, signal, after)
    return after


def _after(layer: Layer, signal: Signal, shape: Shape) -> Signal:
    if layer.slides:
        return signal.slid(shape, layer.window(signal.shape))
    if merged := layer.merges(signal.shape):
        return signal.merged(shape, *merged)
    if split := layer.splits(signal.shape):
        return signal.split(shape, *split)
    if (dimension := layer.halves(signal.shape)) is not None:
        return _halved(layer, signal, shape, dimension)
    mixed = layer.mixes(signal.shape)
    return signal.mixed(shape, mixed) if mixed or shape != signal.shape else signal


def _halved(layer: Layer, signal: Signal, shape: Shape, dimension: int) -> Signal:
    halved = signal.halved(shape, dimension)
    if halved is None:
        message = f"`{layer.kind}` would halve a channel: {signal.shape[dimension]} features hold an odd number of them"
        raise MisfitError(Misfit("odd-channels", message, "let an even number of channels arrive at `flatten`"))
    return halved


def _check_axes(layer: Layer, signal: Signal) -> None:
    """Raise `MisfitError` if a window would slide over rows and columns at once, or over channels that are neither."""
    if axes := signal.long_axes(CHANNELS):
        message = f"the {signal.channels} channels of the input run over the {AXIS_NAMES[axes[0]]} of the image"
        raise MisfitError(Misfit("wrong-rank", message, f"move `{layer.kind}` before what flattens them"))
    for dimension in range(1, len(signal.shape)):
        parts = [count for count, _ in signal.parts[dimension] if count > 1]
        if len(parts) > 1 and signal.long_axes(dimension):
            positions = shape_text(signal.shape[dimension:])
            message = f"the {positions} positions run over more than one of the image's channels, rows and columns"
            hint = f"`{layer.kind}` slides over one of them only: use the kind for maps, before `flatten`"
            raise MisfitError(Misfit("wrong-rank", message, hint))


def _check_windows(layer: Layer, name: str, in_shape: Shape) -> None:
    """Raise `MisfitError` if no window fits the map, with the arithmetic and the smallest change that fits."""
    windows = layer.window(in_shape)
    sizes = in_shape[1:]
    for axis, window, size in zip(DIMENSIONS[len(sizes)], windows, sizes, strict=True):
        if isinstance(window, Window) and window.output_size(size) < 1:
            is_same = len(set(windows)) == 1 and len(set(sizes)) == 1
            where = f"{shape_text(sizes)} input of {name}" + ("" if is_same else f" ({axis})")
            paddings = window.padding + window.after
            rounding = "ceil" if window.ceil_mode else "floor"
            formula = f"{rounding}(({size}+{paddings}-{window.extent})/{window.stride})+1 = {window.output_size(size)}"
            message = f"kernel extent {window.extent} does not fit the {where}: {formula}"
            raise MisfitError(Misfit("kernel-too-large", message, _what_fits(layer, in_shape), "kernel_size"))


def _what_fits(layer: Layer, in_shape: Shape) -> str:
    """The largest kernel and the smallest padding that do, as far as the layer's other parameters allow them."""
    windows = [window for window in layer.window(in_shape) if isinstance(window, Window)]
    sizes = in_shape[1:]
    kernel, paddings = [], []
    for window, size in zip(windows, sizes, strict=True):
        room = size + window.padding + window.after
        kernel.append(max(1, min(window.kernel_size, (room - 1) // window.dilation + 1)))
        paddings.append(max(window.padding, -(-(window.extent - size) // 2)))
    pair = (kernel[0], kernel[-1])
    changes: dict[str, dict[str, Any]] = {
        f"kernel_size {'up to ' if max(kernel) > 1 else ''}{pair_text(pair)}": {
            "kernel_size": kernel if len(kernel) > 1 else kernel[0]
        },
        f"padding {max(paddings)}": {"padding": max(paddings)},
    }
    fitting = [text for text, change in changes.items() if _fits(layer, in_shape, change)]
    return f"{either(fitting)} fits" if fitting else "move the layer to where the map is larger"


def _fits(layer: Layer, in_shape: Shape, change: dict[str, Any]) -> bool:
    """Whether the layer, changed like this, can work on the input."""
    changed = type(layer).read(layer.written() | change)
    try:
        changed.check_input(in_shape)
    except MisfitError:
        return False
    return not any(changed.rules()) and min(changed.output_shape(in_shape)) > 0


def _check_limits(layer: Layer, name: str, signal: Signal, after: Signal) -> None:
    """Raise `MisfitError` if the layer alone would not fit into a machine; nothing is allocated to find out."""
    params = layer.params(signal.shape)
    if params > MAX_PARAMS:
        message = f"`{name}` has {params:,} parameters"
        raise MisfitError(Misfit("too-many-params", message, f"at most {MAX_PARAMS:,} are possible"))
    numbers = prod(after.full_shape)
    if numbers > MAX_ACTIVATION:
        message = f"`{name}` gives {numbers:,} numbers for one image ({shape_text(after.full_shape)})"
        raise MisfitError(Misfit("too-large-output", message, f"at most {MAX_ACTIVATION:,} are possible"))
    is_same = after.fields is signal.fields
    if not is_same and any(field.size > MAX_FIELD or field.stride > MAX_FIELD for field in after.fields):
        message = f"the receptive field of `{name}` passes {MAX_FIELD:,} pixels"
        raise MisfitError(Misfit("too-large-field", message, "let fewer layers have a stride, or a smaller one"))
