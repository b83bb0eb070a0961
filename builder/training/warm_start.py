"""A new network that begins with the weights of another run, as far as they fit."""

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from builder.exits import UsageError
from builder.problems import both, printable
from builder.runs.checkpoints import not_finite
from builder.runs.finding import find_run
from builder.runs.trained import read_weights, size_text

MAX_SHOWN = 6  # tensors in a sentence
COUNT = ".num_batches_tracked"


def start_from(model: nn.Module, run: str) -> str:
    """Give the network every tensor of a finished run whose name and shape agree, and say in a sentence what is new.

    Args:
        run: the run's folder, relative to the working directory.

    Raises:
        UsageError: there is no such run, it isn't finished, its weights are damaged or not finite, or nothing fits.
    """
    weights = read_weights(find_run(run))
    if name := not_finite(weights):
        raise UsageError(
            f"`{printable(name)}` of {printable(run)} holds numbers that are not finite; choose another run"
        )
    own = model.state_dict()
    taken = {name: tensor for name, tensor in weights.items() if _fits(name, weights, own)}
    if not taken:
        there = _listed([f"`{printable(name)}` {size_text(tensor)}" for name, tensor in weights.items()])
        reason = f"nothing of {printable(run)} fits this network by name and shape"
        raise UsageError(f"{reason}; its tensors are {there}")
    model.load_state_dict(taken, strict=False)
    new = [
        f"`{name}` ({_difference(tensor, weights.get(name))})"
        for name, tensor in own.items()
        if name not in taken and not name.endswith(COUNT)
    ]
    what = f"starting from {printable(run)} with {len(taken)} of {len(own)} tensors"
    return f"{what}; {_listed(new)} {'begins' if len(new) == 1 else 'begin'} anew" if new else what


def _fits(name: str, weights: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> bool:
    """Whether a tensor can be taken over; how many batches a norm has counted, only with what it has counted."""
    if name.endswith(COUNT):
        name = name.removesuffix(COUNT) + ".running_mean"
    return name in own and name in weights and weights[name].shape == own[name].shape


def _difference(wanted: Tensor, found: Tensor | None) -> str:
    return "not there" if found is None else f"{size_text(wanted)} here, {size_text(found)} there"


def _listed(texts: Sequence[str]) -> str:
    more = len(texts) - MAX_SHOWN
    return both([*texts[:MAX_SHOWN], f"{more} more"] if more > 0 else texts)
