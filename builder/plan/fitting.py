"""A signal goes through one layer: what leaves it, or why the layer can't work on what arrives."""

from math import prod
from typing import Any

from builder.fields import pair_text
from builder.geometry import AxisField, Window
from builder.kinds import Misfit, MisfitError
from builder.layers import Layer
from builder.layers.base import check_rank, shape_text
from builder.limits import MAX_ACTIVATION, MAX_FIELD, MAX_PARAMS
from builder.problems import either
from builder.signals import CHANNELS, Form, ReceptiveField, Shape, Signal, Step

AXIS_NAMES = ("rows", "columns")  # as what one runs over
DIMENSIONS = {2: ("height", "width"), 1: ("length",)}


class Fitting:
    """Fits layers to what arrives, each once to the same form: copies of a layer differ in what they see only."""

    def __init__(self) -> None:
        self._steps: dict[tuple[Layer, Form], Step] = {}

    def through(self, layer: Layer, name: str, signal: Signal) -> tuple[Step, Signal]:
        """What the layer makes of the form of a signal, and what leaves it; `name` is for messages.

        Raises:
            MisfitError: the layer can't work on this signal.
        """
        key = layer, signal.form
        step = self._steps.get(key)
        if step is None:
            step = self._steps[key] = _fitted(layer, name, signal.form)
        return step, Signal(step.form, seen_through(step, name, signal.receptive_field))


def seen_through(step: Step, name: str, before: ReceptiveField) -> ReceptiveField:
    """What units see behind a layer, given what they see before it. Raises `MisfitError` if that is too far."""
    after = step.seen(before)
    if after is not before:
        _check_field(name, after)
    return after


def _fitted(layer: Layer, name: str, form: Form) -> Step:
    """What the layer makes of a form. Raises `MisfitError` if it can't work on it."""
    if form.pixels is not None and not (layer.acts_on_pixels and 1 in layer.ranks):
        height, width = form.pixels
        message = (
            f"`{layer.kind}` can't act on single pixels, and `per_pixel` gives it the {height}x{width} map as "
            f"{height * width:,} pixels of {form.channels} channels each"
        )
        raise MisfitError(Misfit("wrong-rank", message, "take it out of the `per_pixel` around it"))
    check_rank(layer, form.shape)
    layer.check_input(form.shape)
    if layer.slides:
        _check_windows(layer, name, form.shape)
        _check_axes(layer, form)
    step = _step(layer, form)
    _check_size(layer, name, form, step.form)
    return step


def _step(layer: Layer, form: Form) -> Step:
    shape = layer.output_shape(form.shape)
    if layer.slides:
        return form.slid(shape, layer.window(form.shape))
    if merged := layer.merges(form.shape):
        return form.merged(shape, *merged)
    if split := layer.splits(form.shape):
        return form.split(shape, *split)
    if (dimension := layer.halves(form.shape)) is not None:
        return _halved(layer, form, shape, dimension)
    mixed = layer.mixes(form.shape)
    return form.mixed(shape, mixed) if mixed or shape != form.shape else Step(form)


def _halved(layer: Layer, form: Form, shape: Shape, dimension: int) -> Step:
    halved = form.halved(shape, dimension)
    if halved is None:
        message = f"`{layer.kind}` would halve a channel: {form.shape[dimension]} features hold an odd number of them"
        raise MisfitError(Misfit("odd-channels", message, "let an even number of channels arrive at `flatten`"))
    return halved


def _check_axes(layer: Layer, form: Form) -> None:
    """Raise `MisfitError` if a window would slide over rows and columns at once, or over channels that are neither."""
    if axes := form.long_axes(CHANNELS):
        message = f"the {form.channels} channels of the input run over the {AXIS_NAMES[axes[0]]} of the image"
        raise MisfitError(Misfit("wrong-rank", message, f"move `{layer.kind}` before what flattens them"))
    for dimension in range(1, len(form.shape)):
        parts = [count for count, _ in form.parts[dimension] if count > 1]
        if len(parts) > 1 and form.long_axes(dimension):
            positions = shape_text(form.shape[dimension:])
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


def _check_size(layer: Layer, name: str, form: Form, after: Form) -> None:
    """Raise `MisfitError` if the layer alone would not fit into a machine; nothing is allocated to find out."""
    params = layer.params(form.shape)
    if params > MAX_PARAMS:
        message = f"`{name}` has {params:,} parameters"
        raise MisfitError(Misfit("too-many-params", message, f"at most {MAX_PARAMS:,} are possible"))
    numbers = prod(after.full_shape)
    if numbers > MAX_ACTIVATION:
        message = f"`{name}` gives {numbers:,} numbers for one image ({shape_text(after.full_shape)})"
        raise MisfitError(Misfit("too-large-output", message, f"at most {MAX_ACTIVATION:,} are possible"))


def _check_field(name: str, seen: ReceptiveField) -> None:
    """Raise `MisfitError` if a layer sees further than any image reaches."""
    vertical, horizontal = seen.fields
    if _is_too_large(vertical) or (horizontal is not vertical and _is_too_large(horizontal)):
        message = f"the receptive field of `{name}` passes {MAX_FIELD:,} pixels"
        raise MisfitError(Misfit("too-large-field", message, "let fewer layers have a stride, or a smaller one"))


def _is_too_large(field: AxisField) -> bool:
    return field.size > MAX_FIELD or field.stride.numerator > MAX_FIELD * field.stride.denominator
