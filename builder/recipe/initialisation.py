"""How weights begin, as `torch.nn.init` fills them. What the recipe doesn't name begins as torch's layers draw it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from builder.fields import Channels, Choice, FieldType, Number, Schema, parameter
from builder.kinds import Kind, Misfit, OneOf
from builder.layers.base import LAYERS, Layer, shape_text
from builder.layers.conv import Conv2d, Convolution, SlidingConvolution, divisors_hint
from builder.layers.linear import Linear
from builder.problems import either
from builder.signals import Shape

if TYPE_CHECKING:
    from torch import Tensor

LARGEST = 1_000_000  # of a number here; what is drawn with it stays finite in float32
NONLINEARITIES = ("linear", "sigmoid", "tanh", "relu", "leaky_relu", "selu")  # torch's others are aliases of `linear`

Bounded = Annotated[float, Number(minimum=-LARGEST, maximum=LARGEST)]
Factor = Annotated[float, Number(minimum=0, maximum=LARGEST)]


class Initialiser(Kind, family="initialisation"):
    """How the weights of a layer begin; its bias, if it has one, begins at 0."""

    fits: ClassVar[tuple[type[Layer], ...]] = (Layer,)  # the layers whose weights it can be

    def check_layer(self, name: str, layer: Layer, in_shape: Shape) -> Misfit | None:
        """What is wrong with it for this layer, which has weights, if anything."""
        if isinstance(layer, self.fits):
            return None
        message = f"`{self.kind}` doesn't fit the weights of `{name}` ({layer.kind})"
        others = [f"`{kind}`" for kind, cls in Initialiser.table.items() if isinstance(layer, cls.fits)]
        return Misfit("unfit-initialisation", message, f"write {either(others)}")

    def fill(self, weight: "Tensor") -> None:
        """Fill a weight in place, as `torch.nn.init` does, from torch's global random state."""
        raise NotImplementedError


class Kaiming(Initialiser):
    """What both forms share."""

    fits: ClassVar = (Convolution, Linear)

    a: Bounded = parameter("slope below 0 of the leaky_relu that follows; others don't use it", default=0.0)
    mode: Annotated[str, Choice(("fan_in", "fan_out"))] = parameter(
        "what keeps its size from layer to layer: the signal (fan_in) or the gradient (fan_out)", default="fan_in"
    )
    nonlinearity: Annotated[str, Choice(NONLINEARITIES)] = parameter("what follows the layer", default="leaky_relu")


class KaimingUniform(Kaiming, kind="kaiming_uniform"):
    """Uniform numbers, scaled to the inputs and to what follows (He et al. 2015, arXiv:1502.01852)."""

    def fill(self, weight: "Tensor") -> None:
        from torch.nn import init

        init.kaiming_uniform_(weight, self.a, self.mode, self.nonlinearity)  # type: ignore[arg-type]  # one of its words


class KaimingNormal(Kaiming, kind="kaiming_normal"):
    """Normal numbers, scaled to the inputs and to what follows (He et al. 2015, arXiv:1502.01852)."""

    def fill(self, weight: "Tensor") -> None:
        from torch.nn import init

        init.kaiming_normal_(weight, self.a, self.mode, self.nonlinearity)  # type: ignore[arg-type]  # one of its words


class Scaled(Initialiser):
    """What is shared by those that take a gain."""

    fits: ClassVar = (Convolution, Linear)

    gain: Factor = parameter("factor on the numbers", default=1.0)


class XavierUniform(Scaled, kind="xavier_uniform"):
    """Uniform numbers, scaled to inputs and outputs (Glorot & Bengio 2010, AISTATS)."""

    def fill(self, weight: "Tensor") -> None:
        from torch.nn import init

        init.xavier_uniform_(weight, self.gain)


class XavierNormal(Scaled, kind="xavier_normal"):
    """Normal numbers, scaled to inputs and outputs (Glorot & Bengio 2010, AISTATS)."""

    def fill(self, weight: "Tensor") -> None:
        from torch.nn import init

        init.xavier_normal_(weight, self.gain)


class Orthogonal(Scaled, kind="orthogonal"):
    """Rows, or columns if there are fewer, at right angles (Saxe et al. 2014, arXiv:1312.6120)."""

    def fill(self, weight: "Tensor") -> None:
        from torch.nn import init

        init.orthogonal_(weight, self.gain)


class Dirac(Initialiser, kind="dirac"):
    """Passes on as many channels as it can, as they are (Zagoruyko & Komodakis 2017, arXiv:1706.00388)."""

    fits: ClassVar = (SlidingConvolution,)

    groups: Channels = parameter("parts of the output channels, each of which passes on the channels", default=1)

    def check_layer(self, name: str, layer: Layer, in_shape: Shape) -> Misfit | None:
        if misfit := super().check_layer(name, layer, in_shape):
            return misfit
        assert isinstance(layer, SlidingConvolution)  # as `fits` says
        if layer.out_channels % self.groups == 0:
            return None
        message = f"the {layer.out_channels} channels of `{name}` are not divisible by `groups` (={self.groups})"
        return Misfit("groups", message, divisors_hint(self.groups, layer.out_channels), "groups")

    def fill(self, weight: "Tensor") -> None:
        from torch.nn import init

        init.dirac_(weight, self.groups)


class Zeros(Initialiser, kind="zeros"):
    """Zeros: the last norm of a residual branch, or the last layer, then begins by doing nothing."""

    def fill(self, weight: "Tensor") -> None:
        from torch.nn import init

        init.zeros_(weight)


class Ones(Initialiser, kind="ones"):
    """Ones."""

    def fill(self, weight: "Tensor") -> None:
        from torch.nn import init

        init.ones_(weight)


class Constant(Initialiser, kind="constant"):
    """The same number everywhere."""

    val: Bounded = parameter("the number, such as 0.5")

    def fill(self, weight: "Tensor") -> None:
        from torch.nn import init

        init.constant_(weight, self.val)


class Normal(Initialiser, kind="normal"):
    """Normal numbers."""

    mean: Bounded = parameter("their mean", default=0.0)
    std: Factor = parameter("their standard deviation", default=1.0)

    def fill(self, weight: "Tensor") -> None:
        from torch.nn import init

        init.normal_(weight, self.mean, self.std)


class TruncNormal(Initialiser, kind="trunc_normal"):
    """Normal numbers, drawn again where they lie outside of a to b."""

    mean: Bounded = parameter("their mean", default=0.0)
    std: Annotated[float, Number(above=0, maximum=LARGEST)] = parameter("their standard deviation", default=1.0)
    a: Bounded = parameter("the smallest", default=-2.0)
    b: Bounded = parameter("the largest", default=2.0)

    def rules(self) -> Iterator[Misfit]:
        if self.a >= self.b:
            message = f"`a` (={self.a:g}) is not below `b` (={self.b:g})"
            yield Misfit("empty-range", message, "write the smallest number as `a`", "a")
        elif not self.a <= self.mean <= self.b:
            message = f"`mean` (={self.mean:g}) lies outside of `a` to `b`"
            yield Misfit("empty-range", message, f"write a mean from {self.a:g} to {self.b:g}", "mean")

    def fill(self, weight: "Tensor") -> None:
        from torch.nn import init

        init.trunc_normal_(weight, self.mean, self.std, self.a, self.b)


class Whitening(Initialiser, kind="whitening"):
    """Filters that make patches of the training images white: uncorrelated, of variance 1.

    For a convolution that is given the images themselves. Its first kernels are the eigenvectors of the covariance of
    the patches that it sees, divided by the square root of eigenvalue plus eps, the largest eigenvalue first; its next
    ones the same with the other sign; those left over, beyond twice the numbers of a patch, stay as torch draws them.
    With a bias, the mean is subtracted too. Mostly it is kept so by `freeze`. The idea is David Page's ("How to train
    your ResNet 8", 2019), the default of eps that of airbench (Jordan 2024, arXiv:2404.00498).
    """

    fits: ClassVar = (Conv2d,)

    eps: Annotated[float, Number(above=0, maximum=LARGEST)] = parameter(
        "added to the eigenvalues, so that directions of little but noise are not enlarged", default=5e-4
    )

    def check_layer(self, name: str, layer: Layer, in_shape: Shape) -> Misfit | None:
        if misfit := super().check_layer(name, layer, in_shape):
            return misfit
        assert isinstance(layer, Conv2d)  # as `fits` says
        if layer.groups > 1:
            message = f"`whitening` looks at all channels together, and `{name}` cuts them into {layer.groups} groups"
            return Misfit("unfit-initialisation", message, "let the convolution have 1 group")
        extents = [step * (size - 1) + 1 for size, step in zip(layer.kernel_size, layer.dilation, strict=True)]
        if any(extent > size for extent, size in zip(extents, in_shape[1:], strict=True)):
            message = (
                f"the kernel of `{name}` spans {shape_text(tuple(extents))} pixels, and no whole patch of that size "
                f"lies in an image of {shape_text(in_shape[1:])}"
            )
            return Misfit("unfit-initialisation", message, "write a smaller kernel")
        return None


def has_weights(layer_kind: str) -> bool:
    """Whether layers of this kind learn something."""
    return layer_kind in LAYERS and LAYERS[layer_kind].params is not Layer.params


@dataclass(frozen=True)
class ByLayer(FieldType):
    """A mapping from layers, by kind or by name, to one kind of a family each. Which there are, the plan knows."""

    item: OneOf

    def schema(self) -> Schema:
        return {"type": "object", "additionalProperties": self.item.schema()}

    def canonical(self, value: Any) -> Any:
        return {layer: self.item.canonical(choice) for layer, choice in value.items()}

    def written(self, value: Any) -> Any:
        return {layer: self.item.written(choice) for layer, choice in value.items()}

    def kinds(self, value: Any) -> Iterator[tuple[tuple[str | int, ...], Any]]:
        for layer, choice in value.items():
            yield from (((layer, *steps), kind) for steps, kind in self.item.kinds(choice))
