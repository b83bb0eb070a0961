"""The parameters of a network in groups, each with the settings that its optimizer trains them with."""

from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn

from builder.recipe import Recipe

# What multiplies with a matrix.
AFFINE = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d, nn.ConvTranspose2d)


def parameter_groups(model: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    """Groups of all parameters that learn, as torch's optimizers take them.

    Each tells its factor on the learning rate as `lr_factor`, for schedulers that set the rate anew; the first are
    those whose factor is 1. Where nothing asks for more, there is a single group, which tells nothing.
    """
    optimizer = recipe.optimizer
    if recipe.parameter_groups.are_plain and optimizer.of_the_rest is optimizer:
        return [{"params": [parameter for parameter in model.parameters() if parameter.requires_grad]}]
    hidden = {id(weight) for weight in hidden_matrices(model)}
    groups: dict[tuple[tuple[str, Any], ...], list[nn.Parameter]] = {}
    for layer, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.requires_grad:
                decays = isinstance(module, AFFINE) and name == "weight"
                settings = _settings(recipe, layer, name == "bias", decays, id(parameter) in hidden)
                groups.setdefault(tuple(settings.items()), []).append(parameter)
    by_rank = sorted(groups, key=lambda items: (dict(items).get("by_adamw", False), dict(items)["lr_factor"] != 1))
    return [dict(items) | {"params": groups[items]} for items in by_rank] or [{"params": []}]


def hidden_matrices(model: nn.Module) -> Iterator[Tensor]:
    """The weights of convolutions without groups and of linear layers, but for those of the first and last layer."""
    layers = [module for module in model.modules() if isinstance(module, AFFINE)]
    for layer in layers[1:-1]:
        if getattr(layer, "groups", 1) == 1:
            yield layer.weight


def _settings(recipe: Recipe, layer: str, is_bias: bool, decays: bool, is_hidden: bool) -> dict[str, Any]:
    """What an optimizer is told of one parameter."""
    groups, optimizer = recipe.parameter_groups, recipe.optimizer
    trained_by = optimizer if is_hidden else optimizer.of_the_rest
    factor = groups.factor_of(layer) * (groups.bias_lr_factor if is_bias else 1.0)
    weight_decay = trained_by.weight_decay if decays or groups.decay_norms_and_biases else 0.0
    settings = {"lr": trained_by.lr * factor, "lr_factor": factor, "weight_decay": weight_decay}
    if trained_by is optimizer:
        return settings
    # A scheduler that sets the rate anew keeps the proportion of the two.
    proportion = trained_by.lr / optimizer.lr if optimizer.lr else 1.0
    return trained_by.settings | settings | {"lr_factor": factor * proportion, "by_adamw": True}
