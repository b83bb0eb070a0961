"""Layers that keep still while the others learn."""

from collections.abc import Iterable

from torch import nn


class Frozen:
    """The layers of a network that `freeze` names: their weights don't learn, and their norms don't count.

    To be made before the optimizer, which is given only what learns (`requires_grad`).
    """

    def __init__(self, model: nn.Module, names: Iterable[str]) -> None:
        """Freeze the layers of these names; a name that leads to several freezes all of them."""
        layers = [model.get_submodule(name) for name in names]
        for layer in layers:
            layer.requires_grad_(False)
        inside = dict.fromkeys(module for layer in layers for module in layer.modules())
        self.norms = [module for module in inside if next(module.buffers(recurse=False), None) is not None]

    def keep_still(self) -> None:
        """Let frozen norms use their running statistics, and not change them: to be called after `model.train()`."""
        for norm in self.norms:
            norm.eval()
