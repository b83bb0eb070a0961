"""How to call each module of a network so that it computes the same function, faster. The network stays as it is."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from builder.algorithms.batch_norm import batch_norm
from builder.algorithms.convolution import by_torch, convolution, convolve, folded, is_plain
from builder.algorithms.dropout import dropout
from builder.modules import Call, Composite

# They keep nothing of what they give for the gradient, so that a ReLU behind may write over it.
KEEP_NO_OUTPUT = (nn.Conv2d, nn.BatchNorm2d, nn.MaxPool2d, nn.Linear)

Watch = Callable[[str, Call], Call]
Layers = Sequence[tuple[str, nn.Module]]


def unwatched(name: str, call: Call) -> Call:
    """The call alone."""
    return call


@dataclass(frozen=True, kw_only=True)
class Calls:
    """The ways to call modules. Hooks of a layer that is computed in another way than by itself are not called."""

    dtype: torch.dtype  # in which convolutions are computed
    is_fast: bool  # else each layer is called itself
    is_on_cpu: bool
    is_testing: bool = False  # where nothing learns: the weights are taken as they are now
    watch: Watch = unwatched  # what to make of the call of a layer, by its name

    def of(self, module: nn.Module, name: str = "") -> Call:
        """How to call a module, and what it holds."""
        if type(module) is nn.Sequential:
            layers = [*module.named_children()]
            return chain([*(self._fast_chain(reordered(layers), name) if self.is_fast else self._chain(layers, name))])
        if isinstance(module, Composite):
            within = {key: self.of(child, joined(name, key)) for key, child in module.named_children()}
            return partial(module.through, calls=within)
        return self.watch(name, self._alone(module))

    def _chain(self, layers: Layers, name: str) -> Iterator[Call]:
        return (self.of(module, joined(name, key)) for key, module in layers)

    def _fast_chain(self, layers: Layers, name: str) -> Iterator[Call]:
        before: nn.Module | None = None
        for index, (key, module) in enumerate(layers):
            behind = layers[index + 1][1] if index + 1 < len(layers) else None
            if self.is_testing and can_fold(module, behind):
                yield self.watch(joined(name, key), self._folded(module, behind))
            elif self.is_testing and can_fold(before, module):
                pass  # the convolution before does its work
            elif type(module) is nn.ReLU and type(before) in KEEP_NO_OUTPUT:
                yield self.watch(joined(name, key), torch.relu_)
            else:
                yield self.of(module, joined(name, key))
            before = module

    def _alone(self, module: nn.Module) -> Call:
        if not (self.is_fast and self.is_on_cpu):
            return module
        if type(module) is nn.Conv2d:
            return convolution(module, self.dtype)
        if type(module) is nn.BatchNorm2d:
            return batch_norm(module)
        if type(module) is nn.Dropout:
            return lambda inputs: dropout(inputs, module.p) if module.training else inputs
        return module

    def _folded(self, module: nn.Module, norm: nn.Module | None) -> Call:
        assert isinstance(module, nn.Conv2d)  # as `can_fold` says
        assert isinstance(norm, nn.BatchNorm2d)
        weight, bias = folded(module, norm)
        if not self.is_on_cpu:
            return lambda inputs: by_torch(inputs, module, weight, bias)
        return lambda inputs: convolve(inputs, module, weight, bias, self.dtype)


def chain(calls: Sequence[Call]) -> Call:
    """One after another."""

    def call(inputs: Tensor) -> Tensor:
        for each in calls:
            inputs = each(inputs)
        return inputs

    return call


def joined(name: str, key: str) -> str:
    """The name of a layer within another."""
    return f"{name}.{key}" if name else key


def reordered(layers: Layers) -> Layers:
    """Pooling before ReLU where it stands behind: the largest of a window is the same, and a quarter is left to do.

    Dropout may stand between them, for it multiplies by nothing negative. Outputs and gradients are the same to the
    bit: where a window's largest isn't positive, both give and learn nothing.
    """
    order = [*layers]
    for index in range(len(order)):
        if type(order[index][1]) is nn.ReLU:
            others = (place for place in range(index + 1, len(order)) if type(order[place][1]) is not nn.Dropout)
            behind = next(others, index)
            if type(order[behind][1]) is nn.MaxPool2d:
                order.insert(behind, order.pop(index))
    return order


def can_fold(module: nn.Module | None, norm: nn.Module | None) -> bool:
    """Whether these are a convolution and a batch norm that uses its running statistics."""
    return (
        type(module) is nn.Conv2d
        and is_plain(module)
        and type(norm) is nn.BatchNorm2d
        and norm.running_mean is not None
        and not norm.training
    )
