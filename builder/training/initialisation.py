"""How the weights of a new network begin, where the recipe says so."""

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from builder.data.images import Images
from builder.plan import Plan
from builder.plan.named_layers import initialisers
from builder.recipe import Recipe
from builder.recipe.initialisation import Whitening

MAX_PATCHES = 1_000_000  # that whitening looks at; of an image all are taken
MAX_NUMBERS = 5_000_000  # of patches that are in memory at once, as float64


@torch.no_grad()
def initialise(model: nn.Module, plan: Plan, recipe: Recipe, images: Images) -> None:
    """Let the layers that the recipe names begin as it says, in the order of the plan; without a word it does nothing.

    What is drawn comes from torch's global random state.

    Args:
        model: as `build_model` made it of the plan, on the CPU.
        images: those to train on, for whitening.
    """
    for name, initialiser in initialisers(plan.rows, recipe.initialisation).items():
        layer = model.get_submodule(name)
        weight, bias = layer.get_parameter("weight"), getattr(layer, "bias", None)
        if bias is not None:
            nn.init.zeros_(bias)
        if isinstance(initialiser, Whitening):
            assert isinstance(layer, nn.Conv2d)  # as the plan has checked
            whiten(layer, images, initialiser.eps)
        else:
            initialiser.fill(weight)


def whiten(layer: nn.Conv2d, images: Images, eps: float) -> None:
    """Let a convolution of these images give uncorrelated channels of variance 1, as many as it and a patch can.

    See `builder.recipe.initialisation.Whitening`. The patches are those of the layer's own windows, in images spread
    evenly over all; padding is left out of them.
    """
    mean, covariance = patch_statistics(layer, images)
    eigenvalues, eigenvectors = torch.linalg.eigh(covariance)  # ascending; a column each
    # Either sign is right; with the largest number positive it doesn't depend on the library.
    largest = eigenvectors.gather(0, eigenvectors.abs().argmax(dim=0, keepdim=True))
    filters = (eigenvectors * largest.sign() / (eigenvalues.clamp(min=0) + eps).sqrt()).T.flip(0)
    filters = torch.cat([filters, -filters])[: layer.out_channels]
    layer.weight[: len(filters)] = filters.to(layer.weight).view(-1, *layer.weight.shape[1:])
    if layer.bias is not None:
        layer.bias[: len(filters)] = -(filters @ mean).to(layer.bias)


def patch_statistics(layer: nn.Conv2d, images: Images) -> tuple[Tensor, Tensor]:
    """The mean (n,) and the covariance (n, n) of the patches that a convolution sees, as float64 on the CPU.

    n numbers are in a patch: channels * kernel height * kernel width.
    """
    unfold = partial(functional.unfold, kernel_size=layer.kernel_size, dilation=layer.dilation, stride=layer.stride)
    one, _ = images.batch(slice(0, 1))
    numbers, windows = unfold(one).shape[1:]
    num_images = min(len(images), max(1, MAX_PATCHES // windows))
    spread = torch.arange(num_images, device=one.device) * len(images) // num_images
    total = torch.zeros(numbers, dtype=torch.float64)
    products = torch.zeros(numbers, numbers, dtype=torch.float64)
    for index in spread.split(max(1, MAX_NUMBERS // (windows * numbers))):
        inputs, _ = images.batch(index)
        patches = unfold(inputs.cpu().double()).transpose(1, 2).reshape(-1, numbers)
        total += patches.sum(dim=0)
        products += patches.T @ patches
    count = num_images * windows
    mean = total / count
    return mean, products / count - mean.outer(mean)
