"""What a spec with composites means, worked out once more: an interpreter of the text's data, with its own arithmetic.

It knows what the generator needs to stay within what is valid: the shape after each item, and how many pixels of the
image lie between neighbouring units. Expressions are given to Python, of which their language is a part.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from math import ceil, floor
from typing import Any

Item = Any  # of a list of layers: a word, or a mapping of one key
Names = Mapping[str, Any]
MOST_CHANNELS = 24
MOST_UNITS = 24  # along an axis
MOST_LAYERS = 60  # of one item


class UnfitError(Exception):
    """The layers can't work on what arrives, or become more than they should here."""


@dataclass(frozen=True)
class State:
    """A shape without the batch, and the pixels from one unit to the next along each image axis.

    A plan knows one field for all channels, so that the share of a split is given more than it sees where branches
    were put together before. No split stands there.
    """

    shape: tuple[int, ...]
    steps: tuple[Fraction, Fraction] = (Fraction(1), Fraction(1))
    is_even: bool = True  # whether all channels see the same

    @property
    def channels(self) -> int:
        return self.shape[0]


@dataclass(frozen=True, eq=False)
class Given:
    """Layers given as an argument, with what names mean where they are written."""

    items: Sequence[Item]
    names: Names


def round_to(x: float, m: int) -> int:
    """The nearest multiple of m, at least m, never more than 10% below x."""
    rounded = max(m, int(x + m / 2) // m * m)
    return rounded + m if rounded < 0.9 * x else rounded


FUNCTIONS = {"min": min, "max": max, "floor": floor, "ceil": ceil, "round_to": round_to, "true": True, "false": False}


@cache
def compiled(text: str) -> Any:
    return compile(text, "expression", "eval")


def value_of(value: Any, names: Names) -> Any:
    """What a written value means."""
    if isinstance(value, list):
        return [value_of(item, names) for item in value]
    if not isinstance(value, str) or not value.startswith("$"):
        return value
    return eval(compiled(value[1:]), {"__builtins__": {}}, {**FUNCTIONS, **names})  # noqa: S307  # our own text


def fields_of(item: Item) -> tuple[str, dict[str, Any]]:
    """The word of an item and its fields, those of the list form too."""
    if isinstance(item, str):
        return item, {}
    ((word, fields),) = item.items()
    if isinstance(fields, list):
        fields = {"branches" if word in ("add", "multiply", "concat", "split") else "layers": fields}
    return word, fields or {}


def pair(value: Any) -> tuple[int, int]:
    return (value[0], value[1]) if isinstance(value, list) else (value, value)


@dataclass(frozen=True)
class Layer:
    """A single layer that an image passes: its kind, what its fields mean, and the channels that leave it."""

    kind: str
    fields: Mapping[str, Any]
    channels: int


def layers_of(data: Mapping[str, Any]) -> list[Layer]:
    """The single layers that a spec becomes."""
    constants: dict[str, Any] = {}
    variables = data.get("variables", {})
    while len(constants) < len(variables):
        for name, value in variables.items():
            with suppress(NameError):
                constants[name] = value_of(value, constants)
    meaning = Meaning(constants, data.get("blocks", {}), most_layers=10_000)
    arriving = State(tuple(value_of(data["input"], constants)))
    for _ in range(2):  # the first time counts the calls of each block
        meaning.after(data["layers"], arriving, constants)
        meaning.block_counts = meaning.calls
    return meaning.passed


class Meaning:
    """The layers and shapes of a spec with these blocks."""

    def __init__(self, constants: Names, blocks: Mapping[str, Any], most_layers: int = MOST_LAYERS) -> None:
        self.constants = constants
        self.blocks = blocks
        self.most_layers = self.layers_left = most_layers
        self.calls: Counter[str] = Counter()
        self.block_counts: Counter[str] = Counter()
        self.passed: list[Layer] = []

    def after(self, items: Iterable[Item], state: State, names: Names) -> State:
        """The state after layers one after another. Raises `UnfitError`."""
        self.layers_left, self.calls, self.passed = self.most_layers, Counter(), []
        return self.chain(items, state, names)

    def chain(self, items: Iterable[Item], state: State, names: Names) -> State:
        for item in items:
            state = self.item(item, state, names)
        return state

    def item(self, item: Item, state: State, names: Names) -> State:
        word, fields = fields_of(item)
        names = {**names, "in_channels": state.channels}
        if word.startswith("$"):
            return self.given(value_of(word, names), state, names)
        if not value_of(fields.get("when", True), names):
            return state
        self.layers_left -= 1
        check(self.layers_left > 0)
        if word in COMPOSITES:
            return COMPOSITES[word](self, fields, state, names)
        if word in self.blocks:
            return self.call(word, fields, state, names)
        written = {name: value_of(value, names) for name, value in fields.items() if name not in ("name", "when")}
        state = LAYERS.get(word, unchanged)(written, state)
        self.passed.append(Layer(word, written, state.channels))
        return state

    def given(self, value: Any, state: State, names: Names) -> State:
        if isinstance(value, Given):
            return self.chain(value.items, state, value.names)
        return self.chain(value if isinstance(value, list) else [value], state, names)

    def call(self, word: str, fields: Mapping[str, Any], state: State, names: Names) -> State:
        arguments = {name: argument(value, names) for name, value in fields.items() if name not in ("name", "when")}
        items, state, names = self.entered(word, arguments, state)
        self.calls[word] += 1
        of_call = {"block_index": self.calls[word] - 1, "block_count": max(self.block_counts[word], 1)}
        return self.chain(items, state, {**names, **of_call})

    def entered(self, word: str, arguments: Names, state: State) -> tuple[Sequence[Item], State, Names]:
        """The layers of a block, and the names in it; each default and variable uses those before it."""
        block = self.blocks[word]
        if isinstance(block, list):
            return block, state, self.constants
        own = {**arguments}
        for key in ("parameters", "variables"):
            for name, value in block.get(key, {}).items():
                if name not in own:
                    own[name] = argument(value, {**self.constants, **own, "in_channels": state.channels})
        return block["layers"], state, {**self.constants, **own}

    # --- composites ---

    def group(self, fields: Mapping[str, Any], state: State, names: Names) -> State:
        return self.chain(fields["layers"], state, names)

    def repeat(self, fields: Mapping[str, Any], state: State, names: Names) -> State:
        for iteration in iterations(fields, names):
            state = self.chain(fields["layers"], state, iteration)
        return state

    def per_pixel(self, fields: Mapping[str, Any], state: State, names: Names) -> State:
        check(len(state.shape) == 3)
        inside = self.chain(fields["layers"], replace(state, shape=state.shape[:1]), names)
        return replace(state, shape=(*inside.shape, *state.shape[1:]), is_even=inside.is_even)

    def residual(self, fields: Mapping[str, Any], state: State, names: Names) -> State:
        layers = self.chain(fields["layers"], state, names)
        if not value_of(fields.get("skip", True), names):
            return layers
        shortcut = self.chain(fields.get("shortcut", []), state, names)
        check(layers.shape == shortcut.shape)
        return met([layers, shortcut], layers.shape)

    def branches(self, fields: Mapping[str, Any], state: State, names: Names) -> list[State]:
        """What each gives that is there."""
        names = {**names, "in_channels": state.channels}
        there = [item for item in fields["branches"] if value_of(fields_of(item)[1].get("when", True), names)]
        check(len(there) > 1)
        return [self.item(item, state, names) for item in there]

    def add(self, fields: Mapping[str, Any], state: State, names: Names) -> State:
        arms = self.branches(fields, state, names)
        check(len({arm.shape for arm in arms}) == 1)
        return met(arms, arms[0].shape)

    def multiply(self, fields: Mapping[str, Any], state: State, names: Names) -> State:
        arms = self.branches(fields, state, names)
        shape = tuple(map(max, zip(*(arm.shape for arm in arms), strict=True)))
        check(all(size in (1, most) for arm in arms for size, most in zip(arm.shape, shape, strict=True)))
        return met(arms, shape)

    def concat(self, fields: Mapping[str, Any], state: State, names: Names) -> State:
        return joined(self.branches(fields, state, names))

    def split(self, fields: Mapping[str, Any], state: State, names: Names) -> State:
        number = len(fields["branches"])  # the generator writes no `when` here
        check(state.is_even and state.channels % number == 0)
        return joined(self.branches(fields, replace(state, shape=(state.channels // number, *state.shape[1:])), names))


def argument(value: Any, names: Names) -> Any:
    """What an argument means; layers keep the names of where they are written."""
    if isinstance(value, dict):
        return Given([value], names)
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        return Given(value, names)
    return value_of(value, names)


def iterations(fields: Mapping[str, Any], names: Names) -> list[Names]:
    """The names in each iteration of a repeat."""
    lists = {name: value_of(values, names) for name, values in fields.get("for", {}).items()}
    count = len(next(iter(lists.values()))) if lists else value_of(fields["times"], names)
    check(count >= 0)
    own = [{name: values[index] for name, values in lists.items()} for index in range(count)]
    return [{**names, **of_lists, "index": index, "count": count} for index, of_lists in enumerate(own)]


def met(arms: Sequence[State], shape: tuple[int, ...]) -> State:
    steps = [meeting(arms, axis) for axis in (0, 1)]
    return State(shape, (steps[0], steps[1]), all(arm.is_even for arm in arms))


def meeting(arms: Sequence[State], axis: int) -> Fraction:
    """The step of branches that meet: a branch that saw everything meets any other, and so does a single unit."""
    steps = [arm.steps[axis] for arm in arms]
    sizes = [arm.shape[1 + axis] if len(arm.shape) == 3 else 2 for arm in arms]
    if not all(steps) or len(set(sizes)) > 1:
        return Fraction(0)
    check(len(set(steps)) == 1 or set(sizes) == {1})
    return steps[0]


def joined(arms: Sequence[State]) -> State:
    check(len({arm.shape[1:] for arm in arms}) == 1)
    return replace(met(arms, (sum(arm.channels for arm in arms), *arms[0].shape[1:])), is_even=False)


def check(is_fit: bool) -> None:
    if not is_fit:
        raise UnfitError


# --- layers ---


def unchanged(fields: Mapping[str, Any], state: State) -> State:
    return state


def of_map(fields: Mapping[str, Any], state: State) -> State:
    check(len(state.shape) == 3)
    return state


def of_features(fields: Mapping[str, Any], state: State) -> State:
    check(len(state.shape) == 1)
    return state


def on_map(channels: int, sizes: Sequence[int], steps: Sequence[Fraction], is_even: bool) -> State:
    check(1 <= channels <= MOST_CHANNELS and all(1 <= size <= MOST_UNITS for size in sizes))
    return State((channels, *sizes), (steps[0], steps[1]), is_even)


def window(fields: Mapping[str, Any], state: State) -> State:
    """A convolution, or a pooling, which gives as many channels as it gets."""
    check(len(state.shape) == 3)
    kernel, padding, dilation = (pair(fields.get(name, default)) for name, default in
                                 (("kernel_size", 1), ("padding", 0), ("dilation", 1)))  # fmt: skip
    is_pool = "out_channels" not in fields
    stride = pair(fields.get("stride", fields["kernel_size"] if is_pool else 1))
    channels, groups = fields.get("out_channels", state.channels), fields.get("groups", 1)
    check(groups > 0 and state.channels % groups == 0 and channels % groups == 0)
    check(not is_pool or all(2 * p <= k for p, k in zip(padding, kernel, strict=True)))
    sizes = [
        (size + 2 * padding[axis] - dilation[axis] * (kernel[axis] - 1) - 1) // stride[axis] + 1
        for axis, size in enumerate(state.shape[1:])
    ]
    mixes = not is_pool and groups == 1
    steps = [step * stride[axis] for axis, step in enumerate(state.steps)]
    return on_map(channels, sizes, steps, state.is_even or mixes)


def transposed(fields: Mapping[str, Any], state: State) -> State:
    check(len(state.shape) == 3)
    kernel, stride = fields["kernel_size"], fields["stride"]
    sizes = [(size - 1) * stride - 2 * fields.get("padding", 0) + kernel for size in state.shape[1:]]
    return on_map(fields["out_channels"], sizes, [step / stride for step in state.steps], is_even=True)


def resampled(fields: Mapping[str, Any], state: State) -> State:
    check(len(state.shape) == 3 and min(state.shape[1:]) > 1)
    factor = fields["scale_factor"]
    sizes, steps = [factor * size for size in state.shape[1:]], [step / factor for step in state.steps]
    return on_map(state.channels, sizes, steps, state.is_even)


def adaptive(fields: Mapping[str, Any], state: State) -> State:
    check(len(state.shape) == 3)
    wanted = pair(fields["output_size"])
    steps = [
        Fraction(size, count) * step if count > 1 else Fraction(0)
        for size, count, step in zip(state.shape[1:], wanted, state.steps, strict=True)
    ]
    return on_map(state.channels, wanted, steps, state.is_even)


def flat(fields: Mapping[str, Any], state: State) -> State:
    features = 1
    for size in state.shape:
        features *= size
    return replace(state, shape=(features,))


def linear(fields: Mapping[str, Any], state: State) -> State:
    check(len(state.shape) == 1 and 1 <= fields["out_features"] <= MOST_CHANNELS)
    return State((fields["out_features"],), (Fraction(0), Fraction(0)))


LAYERS: dict[str, Callable[[Mapping[str, Any], State], State]] = {
    "conv2d": window,
    "max_pool2d": window,
    "avg_pool2d": window,
    "conv_transpose2d": transposed,
    "upsample": resampled,
    "adaptive_avg_pool2d": adaptive,
    "adaptive_max_pool2d": adaptive,
    "batch_norm2d": of_map,
    "batch_norm1d": of_features,
    "flatten": flat,
    "linear": linear,
}
COMPOSITES: dict[str, Callable[[Meaning, Mapping[str, Any], State, Names], State]] = {
    "sequential": Meaning.group,
    "layer_scale": Meaning.group,
    "repeat": Meaning.repeat,
    "per_pixel": Meaning.per_pixel,
    "residual": Meaning.residual,
    "add": Meaning.add,
    "multiply": Meaning.multiply,
    "concat": Meaning.concat,
    "split": Meaning.split,
}
