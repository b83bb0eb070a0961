"""The modules that torch lacks: what composites become. Each holds its children under the names of the spec."""

from collections import OrderedDict
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

Call = Callable[[Tensor], Tensor]


def sequential(children: Mapping[str, nn.Module]) -> nn.Sequential:
    """The children one after another."""
    return nn.Sequential(OrderedDict(children))


class Composite(nn.Module):
    """A module that only puts together what its children give."""

    def __init__(self, children: Mapping[str, nn.Module]) -> None:
        super().__init__()
        for name, child in children.items():
            self.add_module(name, child)

    def forward(self, input: Tensor) -> Tensor:  # torch's name
        return self.through(input, dict(self.named_children()))

    def through(self, input: Tensor, calls: Mapping[str, Call]) -> Tensor:
        """The output, each child called as `calls` says by its name: itself, or what computes the same."""
        raise NotImplementedError


class PerPixel(nn.Sequential):
    """Layers over the channels of every pixel.

    (batch, channels, height, width) -> (batch, channels', height, width)
    """

    def __init__(self, children: Mapping[str, nn.Module]) -> None:
        super().__init__(OrderedDict(children))

    def forward(self, input: Tensor) -> Tensor:  # torch's name
        batch, channels, height, width = input.shape
        pixels = input.permute(0, 2, 3, 1).reshape(-1, channels)
        for layer in self:
            pixels = layer(pixels)
        return pixels.reshape(batch, height, width, -1).permute(0, 3, 1, 2)


class LayerScale(Composite):
    """What the layers give, times a learned factor per channel."""

    def __init__(self, out_shape: tuple[int, ...], init: float, children: Mapping[str, nn.Module]) -> None:
        super().__init__({})
        self.layer_scale = nn.Parameter(torch.full((out_shape[0], *[1] * (len(out_shape) - 1)), init))
        self.layers = children["layers"]

    def through(self, input: Tensor, calls: Mapping[str, Call]) -> Tensor:
        return self.layer_scale * calls["layers"](input)


class Residual(Composite):
    """layers(x) + shortcut(x); without a shortcut layers(x) + x, without `skip` layers(x) alone."""

    def __init__(self, children: Mapping[str, nn.Module], skip: bool) -> None:
        super().__init__(children)
        self.skip = skip
        self.has_shortcut = "shortcut" in children

    def through(self, input: Tensor, calls: Mapping[str, Call]) -> Tensor:
        result = calls["layers"](input)
        if not self.skip:
            return result
        return result + (calls["shortcut"](input) if self.has_shortcut else input)


class Add(Composite):
    """The sum of what the branches give."""

    def through(self, input: Tensor, calls: Mapping[str, Call]) -> Tensor:
        first, *others = (branch(input) for branch in calls.values())
        for other in others:
            first = first + other
        return first


class Multiply(Composite):
    """The product of what the branches give, broadcast as torch does."""

    def through(self, input: Tensor, calls: Mapping[str, Call]) -> Tensor:
        first, *others = (branch(input) for branch in calls.values())
        for other in others:
            first = first * other
        return first


class Concat(Composite):
    """The channels of what the branches give, one after another."""

    def through(self, input: Tensor, calls: Mapping[str, Call]) -> Tensor:
        return torch.cat([branch(input) for branch in calls.values()], dim=1)


class Split(Composite):
    """Each branch sees an equal share of the channels; the results are put together again."""

    def through(self, input: Tensor, calls: Mapping[str, Call]) -> Tensor:
        shares = input.chunk(len(calls), dim=1)
        return torch.cat([branch(share) for branch, share in zip(calls.values(), shares, strict=True)], dim=1)


class StochasticDepth(nn.Module):
    """In training, sets images (`row`), or the whole batch (`batch`), to zero with probability `p`; scales up the rest.

    In distribution and in its use of random numbers it is `torchvision.ops.StochasticDepth`, without torchvision.
    """

    def __init__(self, p: float, mode: str = "row") -> None:
        super().__init__()
        self.p = p
        self.mode = mode

    def forward(self, input: Tensor) -> Tensor:  # torch's name
        if not self.training or self.p == 0:
            return input
        images = input.shape[0] if self.mode == "row" else 1
        kept = input.new_empty(images, *[1] * (input.dim() - 1)).bernoulli_(1 - self.p)
        return input * (kept if self.p == 1 else kept.div_(1 - self.p))

    def extra_repr(self) -> str:
        return f"p={self.p}, mode={self.mode}"
