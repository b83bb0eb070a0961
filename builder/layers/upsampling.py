"""Upsampling: a map is resized by interpolation, without learning."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, get_args

from builder.fields import Boolean, Choice, OptionalFactors, OptionalSize, OrNull, parameter
from builder.geometry import ResampledWindow, Resampling
from builder.kinds import Misfit, MisfitError
from builder.layers.base import Layer, Shape
from builder.limits import MAX_SIZE

if TYPE_CHECKING:
    from torch import nn

Mode = Literal["nearest", "nearest-exact", "bilinear", "bicubic"]
ALONG_AN_AXIS: dict[Mode, Resampling] = {
    "nearest": "nearest",
    "nearest-exact": "nearest-exact",
    "bilinear": "linear",
    "bicubic": "cubic",
}
SMOOTH_MODES = ("bilinear", "bicubic")


class Upsample(Layer, kind="upsample"):
    """A map resized by interpolation: (channels, height, width) -> (channels, height', width')."""

    ranks: ClassVar = (3,)
    slides: ClassVar = True

    size: OptionalSize = parameter(
        "height and width of the output, such as 28", default=None, default_text="by scale_factor"
    )
    scale_factor: OptionalFactors = parameter(
        "how many times larger height and width become, such as 2", default=None, default_text="by size"
    )
    mode: Annotated[Mode, Choice(get_args(Mode))] = parameter(
        "how values between positions are found", default="nearest"
    )
    align_corners: Annotated[bool | None, OrNull(Boolean())] = parameter(
        "let the corner pixels of input and output lie on each other; bilinear and bicubic only",
        default=None,
        default_text="false",
    )

    def rules(self) -> Iterator[Misfit]:
        if self.size is None and self.scale_factor is None:
            message = f"`{self.kind}` has neither `size` nor `scale_factor`"
            yield Misfit("missing-key", message, "add one of them, such as `scale_factor: 2`")
        if self.size is not None and self.scale_factor is not None:
            message = f"`{self.kind}` has both `size` and `scale_factor`"
            yield Misfit("several-sizes", message, "keep one of them", "scale_factor")
        if self.align_corners is not None and self.mode not in SMOOTH_MODES:
            message = f"`align_corners` means nothing to `mode: {self.mode}`"
            yield Misfit("align-corners", message, "remove it, or write `mode: bilinear`", "align_corners")

    def check_input(self, in_shape: Shape) -> None:
        for axis, window, size in zip(("height", "width"), self.window(in_shape), in_shape[1:], strict=True):
            given = window.output_size(size)
            if not 1 <= given <= MAX_SIZE:
                message = f"the {axis} of the output would be {given:,}: floor({size} * {window.scale_factor})"
                hint = f"write a scale_factor with which it is from 1 to {MAX_SIZE:,}"
                raise MisfitError(Misfit("wrong-output-size", message, hint, "scale_factor"))

    def window(self, in_shape: Shape) -> tuple[ResampledWindow, ResampledWindow]:
        mode, counts = ALONG_AN_AXIS[self.mode], self.size or (None, None)
        factors = self.scale_factor or (None, None)
        height, width = (
            ResampledWindow(mode, count, factor, bool(self.align_corners))
            for count, factor in zip(counts, factors, strict=True)
        )
        return height, width

    def module(self, in_shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.Upsample(self.size, self.scale_factor, self.mode, self.align_corners)
