"""Composites: kinds that hold layers. Where branches meet, shapes must agree and what they see is joined."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, ClassVar

from builder.fields import Flag, Integer, NonNegative, OrNull, Schema, parameter
from builder.geometry import AxisField, meet
from builder.kinds import Kind, Misfit, MisfitError
from builder.layers.base import described, shape_text
from builder.limits import MAX_LAYERS, MAX_LISTS
from builder.problems import both
from builder.signals import ReceptiveField, Shape, Signal, met

if TYPE_CHECKING:
    from torch import nn

LAYERS_LIST = "layers"
BRANCHES_LIST = "branches"
SHORTCUT_LIST = "shortcut"
AXIS_NAMES = ("height", "width")


@dataclass(frozen=True)
class Held:
    """A list of layers that a composite holds."""

    name: str
    meaning: str
    minimum: int = 1  # items as written; 0 also means that the list may be left out


@dataclass(frozen=True, slots=True)
class Arm:
    """One of the ways through a composite: how it is called in a message, and what it gives."""

    text: str
    signal: Signal


class Composite(Kind, family="composite"):
    """A kind that holds layers. The defaults describe a group of layers, one after another."""

    holds: ClassVar[tuple[Held, ...]] = (Held(LAYERS_LIST, "the layers, one after another"),)
    list_form: ClassVar[str] = ""  # the list that stands for the whole when a list is written in place of a mapping
    is_branching: ClassVar[bool] = False  # its children are branches: each is one layer

    @classmethod
    def more_properties(cls) -> Schema:
        """What may be written besides the parameters and the lists."""
        return {}

    def check_input(self, signal: Signal) -> None:
        """Raise `MisfitError` if this can't arrive here."""

    def entrance(self, signal: Signal, branches: int) -> Signal:
        """What arrives at each of so many branches (or at the layers) of what arrives here."""
        return signal

    def exit(self, entrance: Signal, arms: Sequence[Arm]) -> Signal:
        """What leaves, given what each arm gives.

        Raises:
            MisfitError: the arms don't fit together.
        """
        return arms[-1].signal

    def remarks(self, entrance: Signal, arms: Sequence[Arm]) -> Iterator[Misfit]:
        """Warnings about arms that fit."""
        return iter(())

    def own_params(self, out_shape: Shape) -> int:
        """Learnable numbers besides those of the layers."""
        return 0

    def module(self, out_shape: Shape, children: Mapping[str, "nn.Module"]) -> "nn.Module":
        """The torch module that holds the children; the one method that touches torch."""
        from builder.modules import sequential

        return sequential(children)


COMPOSITES: dict[str, type[Composite]] = Composite.table


class Group(Composite, kind="sequential"):
    """A group of layers, one after another."""

    list_form: ClassVar = LAYERS_LIST


class Repeat(Composite, kind="repeat"):
    """The same layers several times, one after another; `index` counts from 0, `count` is how often."""

    times: Annotated[int | None, OrNull(Integer(0, MAX_LAYERS))] = parameter(
        "how often, such as 3", default=None, default_text="as often as the lists of `for` have items"
    )

    @classmethod
    def more_properties(cls) -> Schema:
        description = "lists of equal length; each iteration sees their next values under these names (default: none)"
        values = {"type": ["array", "string"], "pattern": r"^\$", "items": {"type": ["number", "string", "boolean"]}}
        return {"for": {"type": "object", "description": description, "additionalProperties": values} | _FOR_LIMITS}


_FOR_LIMITS = {"minProperties": 1, "maxProperties": MAX_LISTS}


class PerPixel(Composite, kind="per_pixel"):
    """Layers over the channels of every pixel: (channels, height, width) -> (channels', height, width)."""

    list_form: ClassVar = LAYERS_LIST

    def check_input(self, signal: Signal) -> None:
        check_is_map(self, signal)

    def entrance(self, signal: Signal, branches: int) -> Signal:
        return signal.formed(signal.form.of_pixels())

    def exit(self, entrance: Signal, arms: Sequence[Arm]) -> Signal:
        (arm,) = arms
        if len(arm.signal.shape) != 1:
            message = f"the layers give {described(arm.signal.shape)} for every pixel"
            raise MisfitError(Misfit("wrong-rank", message, "let them give features, one for each channel"))
        return arm.signal.formed(arm.signal.form.of_map(entrance.form))

    def module(self, out_shape: Shape, children: Mapping[str, "nn.Module"]) -> "nn.Module":
        from builder.modules import PerPixel

        return PerPixel(children)


def check_is_map(composite: Composite, signal: Signal) -> None:
    """Raise `MisfitError` if no map arrives."""
    if signal.form.pixels is not None:
        message = f"`{composite.kind}` takes a map, and stands where layers see single pixels"
        raise MisfitError(Misfit("wrong-rank", message, f"take it out of the `{PerPixel.kind}` around it"))
    if len(signal.shape) != 3:
        message = f"`{composite.kind}` takes a map, and its input is {described(signal.shape)}"
        raise MisfitError(Misfit("wrong-rank", message, f"move `{composite.kind}` before `flatten`"))


class LayerScale(Composite, kind="layer_scale"):
    """What its layers give, times a learned factor per channel (Touvron et al. 2021, arXiv:2103.17239)."""

    init: NonNegative = parameter("the factors before training, such as 1e-6")

    def own_params(self, out_shape: Shape) -> int:
        return out_shape[0]

    def exit(self, entrance: Signal, arms: Sequence[Arm]) -> Signal:
        (arm,) = arms
        return arm.signal

    def module(self, out_shape: Shape, children: Mapping[str, "nn.Module"]) -> "nn.Module":
        from builder.modules import LayerScale

        return LayerScale(out_shape, self.init, children)


# ------------------------------------------------------------------------------------------------ where branches meet


class Merge(Composite):
    """What all composites share whose arms see the same input and meet again."""

    def exit(self, entrance: Signal, arms: Sequence[Arm]) -> Signal:
        shape = self.met_shape(arms)
        height = _met_field(arms, 0)
        width = height if _see_squares(arms) else _met_field(arms, 1)
        field = ReceptiveField((height, width), entrance.receptive_field.image)
        return Signal(met([arm.signal.form for arm in arms], shape), field)

    def met_shape(self, arms: Sequence[Arm]) -> Shape:
        """The shape of what leaves; `MisfitError` if those of the arms don't fit together."""
        shape = arms[0].signal.shape
        for arm in arms:
            if arm.signal.shape != shape:
                raise MisfitError(_unequal_shapes(self, arms[0], arm, "give both the same shape"))
        return shape

    def remarks(self, entrance: Signal, arms: Sequence[Arm]) -> Iterator[Misfit]:
        for axis, name in enumerate(AXIS_NAMES[:1] if _see_squares(arms) else AXIS_NAMES):
            centres = [(arm, arm.signal.fields[axis].centre) for arm in arms]
            seen = [(arm, centre) for arm, centre in centres if centre is not None]
            for arm, centre in seen[1:]:
                if centre != seen[0][1]:
                    first, first_centre = seen[0]
                    message = (
                        f"what {first.text} and {arm.text} see is {_pixels(abs(centre - first_centre))} apart along "
                        f"the {name}"
                    )
                    yield Misfit("unequal-centres", message, "pad both alike around their kernels", severity="warning")
                    return


def _see_squares(arms: Sequence[Arm]) -> bool:
    """Whether units are known to see as much along the width as along the height."""
    return all(arm.signal.fields[0] is arm.signal.fields[1] for arm in arms)


def _met_field(arms: Sequence[Arm], axis: int) -> AxisField:
    field = meet([arm.signal.fields[axis] for arm in arms])
    if field is None:
        raise MisfitError(_unequal_strides(arms, axis))
    return field


def _pixels(distance: Fraction) -> str:
    return "1 pixel" if distance == 1 else f"{float(distance):.3g} pixels"


def _unequal_shapes(composite: Composite, first: Arm, other: Arm, hint: str) -> Misfit:
    message = (
        f"the branches of `{composite.kind}` don't fit together: {first.text} gives {described(first.signal.shape)}, "
        f"{other.text} gives {described(other.signal.shape)}"
    )
    return Misfit("unequal-shapes", message, hint)


def _unequal_strides(arms: Sequence[Arm], axis: int) -> Misfit:
    strides = both([f"{arm.text} moves {_pixels(arm.signal.fields[axis].stride)} per unit" for arm in arms])
    message = f"the branches see the image at different scales along the {AXIS_NAMES[axis]}: {strides}"
    return Misfit("unequal-strides", message, "let all of them reduce the map alike")


class Residual(Merge, kind="residual"):
    """The sum of what the layers give and what arrives: layers(x) + shortcut(x)."""

    holds: ClassVar = (
        Held(LAYERS_LIST, "the layers, one after another"),
        Held(SHORTCUT_LIST, "layers of the way around them (default: [], what arrives as it is)", minimum=0),
    )
    list_form: ClassVar = LAYERS_LIST

    skip: Flag = parameter("add what arrives; without it the layers stand alone, and no sum", default=True)

    def exit(self, entrance: Signal, arms: Sequence[Arm]) -> Signal:
        if not self.skip:
            return arms[0].signal
        return super().exit(entrance, self._both(entrance, arms))

    def remarks(self, entrance: Signal, arms: Sequence[Arm]) -> Iterator[Misfit]:
        return super().remarks(entrance, self._both(entrance, arms)) if self.skip else iter(())

    def _both(self, entrance: Signal, arms: Sequence[Arm]) -> list[Arm]:
        """The layers and the way around them, which is the input itself if it holds nothing."""
        return [*arms, Arm("the input", entrance)] if len(arms) == 1 else list(arms)

    def met_shape(self, arms: Sequence[Arm]) -> Shape:
        layers, shortcut = arms
        if layers.signal.shape != shortcut.signal.shape:
            raise MisfitError(_unequal_shapes(self, layers, shortcut, _shortcut_hint(layers, shortcut)))
        return layers.signal.shape

    def module(self, out_shape: Shape, children: Mapping[str, "nn.Module"]) -> "nn.Module":
        from builder.modules import Residual

        return Residual(children, skip=self.skip)


def _shortcut_hint(layers: Arm, shortcut: Arm) -> str:
    """How a shortcut comes to the shape of the layers."""
    (channels, *wanted), (_, *found) = layers.signal.shape, shortcut.signal.shape
    if len(wanted) != 2 or len(found) != 2:
        return "give both the same shape"
    for stride in range(1, max(found) + 1):
        if [(size - 1) // stride + 1 for size in found] == wanted:
            step = f", stride: {stride}" if stride > 1 else ""
            return f"write `shortcut: [conv2d: {{out_channels: {channels}, kernel_size: 1{step}}}]`"
    return f"pad the layers so that they keep the {shape_text(tuple(found))} map"


class Branching(Merge):
    """What composites share that hold branches."""

    holds: ClassVar = (
        Held(BRANCHES_LIST, "the branches, each one layer; `sequential` makes one of several", minimum=2),
    )
    list_form: ClassVar = BRANCHES_LIST
    is_branching: ClassVar = True


class Add(Branching, kind="add"):
    """The sum of what the branches give; all see the same input."""

    def module(self, out_shape: Shape, children: Mapping[str, "nn.Module"]) -> "nn.Module":
        from builder.modules import Add

        return Add(children)


class Multiply(Branching, kind="multiply"):
    """The product of what the branches give; a 1x1 map counts for every position, a single channel for all."""

    def met_shape(self, arms: Sequence[Arm]) -> Shape:
        shape = arms[0].signal.shape
        for arm in arms:
            other = arm.signal.shape
            sizes = list(zip(shape, other, strict=False))
            if len(shape) != len(other) or any(1 not in pair and pair[0] != pair[1] for pair in sizes):
                raise MisfitError(_unequal_shapes(self, arms[0], arm, "give both the same shape, or one a 1x1 map"))
            shape = tuple(max(pair) for pair in sizes)
        return shape

    def module(self, out_shape: Shape, children: Mapping[str, "nn.Module"]) -> "nn.Module":
        from builder.modules import Multiply

        return Multiply(children)


class Concat(Branching, kind="concat"):
    """The channels of what the branches give, one after another; all see the same input."""

    def met_shape(self, arms: Sequence[Arm]) -> Shape:
        return joined_shape(self, arms)

    def module(self, out_shape: Shape, children: Mapping[str, "nn.Module"]) -> "nn.Module":
        from builder.modules import Concat

        return Concat(children)


def joined_shape(composite: Composite, arms: Sequence[Arm]) -> Shape:
    """The shape of the arms' channels, one after another; `MisfitError` if the rest of their shapes differs."""
    rest = arms[0].signal.shape[1:]
    for arm in arms:
        if arm.signal.shape[1:] != rest or len(arm.signal.shape) != 1 + len(rest):
            what = f"height and width {shape_text(rest)}" if len(rest) == 2 else "number of dimensions"
            raise MisfitError(
                _unequal_shapes(composite, arms[0], arm, f"only channels may differ: give both the same {what}")
            )
    return (sum(arm.signal.shape[0] for arm in arms), *rest)


class Split(Branching, kind="split"):
    """Each branch sees an equal share of the channels; what they give is put together again."""

    def entrance(self, signal: Signal, branches: int) -> Signal:
        if signal.channels % branches:
            message = f"the {signal.channels} channels can't be cut evenly for {branches} branches"
            raise MisfitError(Misfit("uneven-split", message, f"let a multiple of {branches} channels arrive"))
        return signal.formed(signal.form.with_channels(signal.channels // branches))

    def met_shape(self, arms: Sequence[Arm]) -> Shape:
        return joined_shape(self, arms)

    def module(self, out_shape: Shape, children: Mapping[str, "nn.Module"]) -> "nn.Module":
        from builder.modules import Split

        return Split(children)
