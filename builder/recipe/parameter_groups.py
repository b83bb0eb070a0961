"""Parameters that are trained differently from the others."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from builder.fields import FieldType, Flag, Number, Positive, Schema, or_computed, parameter
from builder.kinds import Kind, Misfit


@dataclass(frozen=True)
class ByName(FieldType):
    """A mapping from layers by their names to a number each. Which names there are, the plan knows."""

    number: Number

    def schema(self) -> Schema:
        return {"type": "object", "additionalProperties": or_computed(self.number.schema())}

    def canonical(self, value: Any) -> Any:
        return {layer: self.number.canonical(number) for layer, number in value.items()}

    def written(self, value: Any) -> Any:
        return dict(value)


class ParameterGroups(Kind):
    """Parameters whose weight decay or learning rate differs from what the optimizer says."""

    decay_norms_and_biases: Flag = parameter(
        "whether `weight_decay` pulls at more than the weights of convolutions and linear layers", default=True
    )
    bias_lr_factor: Positive = parameter("factor on the learning rate of all biases, such as 2", default=1.0)
    lr_factors: Annotated[Mapping[str, float], ByName(Number(above=0))] = parameter(
        "factors on the learning rate of layers by their names, such as {conv2d_1: 0.1}; for layers inside of others "
        "`block.conv2d_1`",
        default={},
    )

    @property
    def are_plain(self) -> bool:
        """Whether nothing differs."""
        return self == ParameterGroups()

    def factor_of(self, layer: str) -> float:
        """On the learning rate of a layer, by its name with those of the layers around it: that of the longest name."""
        around = [name for name in self.lr_factors if f"{layer}.".startswith(f"{name}.")]
        return self.lr_factors[max(around, key=len)] if around else 1.0

    def check_decay(self, weight_decay: float) -> Iterator[Misfit]:
        """What is wrong with it for an optimizer of this weight decay."""
        if weight_decay == 0 and not self.decay_norms_and_biases:
            message = "`decay_norms_and_biases` spares them a `weight_decay` of 0"
            hint = "write the optimizer's `weight_decay` too, or remove this"
            yield Misfit("without-effect", message, hint, "decay_norms_and_biases", "warning")
