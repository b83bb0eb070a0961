"""The augmentations of a run: one after another on each batch of training images, drawn from one generator."""

from collections.abc import Mapping, Sequence

from torch import Generator, Tensor
from torch.nn import functional as F  # noqa: N812  # its usual name

from builder.recipe.augmentations import Augmentation


class Augmentations:
    """What is done to the training images of a run, and the state of its random numbers."""

    def __init__(self, kinds: Sequence[Augmentation], num_classes: int, generator: Generator) -> None:
        """One after another, in their order.

        Args:
            kinds: what is done.
            num_classes: of the data set.
            generator: gives every random number; on the images' device, and used for nothing else.
        """
        self.kinds = tuple(kinds)
        self.num_classes = num_classes
        self.generator = generator
        self.mixes_targets = any(kind.mixes_targets for kind in kinds)

    def __call__(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Augmented images, float32 (n, channels, height, width) from 0 to 1 as those given, and their targets.

        Targets are the labels, int64 (n,), or, where images are mixed, each image's shares of the classes, float32
        (n, classes).
        """
        targets = F.one_hot(labels, self.num_classes).to(images.dtype) if self.mixes_targets else labels
        for kind in self.kinds:
            images, targets = kind.augment(images, targets, self.generator)
        return images, targets

    def state_dict(self) -> dict[str, Tensor]:
        """All that the next draws depend on."""
        return {"generator": self.generator.get_state()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on with the draws where `state_dict` was taken; from a generator of the same kind of device."""
        self.generator.set_state(state["generator"].cpu())
