"""Specs of nested composites, blocks, variables and computed values, at random and valid.

Each item is made to fit, tried by the arithmetic of `composition_meaning` on everything that may arrive where it stands
(in every iteration of the repeats around it), and made anew if it doesn't.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import yaml
from composition_meaning import (
    Given,
    Item,
    Meaning,
    Names,
    State,
    UnfitError,
    argument,
    fields_of,
    iterations,
    value_of,
)

MOST_DEPTH = 4
OF_PLACE = ("in_channels",)
WIDTHS = range(1, 9)
BARE = ("relu", "silu", "tanh", "sigmoid", "gelu", "identity", "hardswish", "mish")
FORMULAS = (
    *("$({name} + {k})", "$({k} * {name})", "$({name} // {k} + 1)", "$({name} % {k} + 1)", "$(-{name} + {k} + 4)"),
    *("$(min({name}, {k}))", "$(max({name}, {k}))", "$({k} if {name} >= {k} and not {name} == 5 else {name})"),
    *("$(round_to({name} * 1.3, {k}))", "$(ceil({name} / {k}))", "$(floor({name} * 0.75) + 1)", "$({name} - {k})"),
)


@dataclass(frozen=True)
class Sample:
    """Something that may arrive at a place, and what the names mean there."""

    state: State
    names: Names

    @property
    def all_names(self) -> Names:
        return {**self.names, "in_channels": self.state.channels}


Samples = list[Sample]
Maker = Callable[[Samples, int], Item]


@dataclass(frozen=True)
class Cut:
    """What branches have in common that meet: per axis the stride, and the pixels lost at both ends together."""

    strides: tuple[int, int]
    losses: tuple[int, int]

    @property
    def keeps_size(self) -> bool:
        return self.strides == (1, 1) and self.losses == (0, 0)


def generated_data(seed: int) -> dict[str, Any]:
    """A valid spec as data; the same for the same seed."""
    return _Generator(Random(seed)).spec()  # noqa: S311  # nothing secret


def as_text(data: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(data), sort_keys=False, default_flow_style=None, width=110)


class _Generator:
    """Makes one spec from the outside to the inside, and a block where it is called for the first time."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.blocks: dict[str, Any] = {}
        self.variables: dict[str, Any] = {}
        self.constants: dict[str, Any] = {}
        self.meaning = Meaning(self.constants, self.blocks)
        self.pads = self.chance(0.5)  # where no window sees padding, fields can be compared exactly
        self.num_names = 0

    def spec(self) -> dict[str, Any]:
        self.add_variables()
        image = [self.up_to(4), *(self.random.randint(4, 18) for _ in range(2))]
        arriving = [Sample(State((image[0], image[1], image[2])), self.constants)]
        written = [self.number(arriving, [size], OF_PLACE) for size in image]
        layers, samples = self.items(arriving, 0, 4)
        layers.append("relu")  # at least one layer is always there
        if self.chance(0.4):
            flat, samples = self.appended("flatten", samples)
            features, samples = self.items(samples, 1, 3)
            layers += [flat, *features]
        variables = list(self.variables.items())
        self.random.shuffle(variables)
        blocks = list(self.blocks.items())
        self.random.shuffle(blocks)
        parts = {"input": written, "variables": dict(variables), "blocks": dict(blocks), "layers": layers}
        return {key: part for key, part in parts.items() if part}

    # --- chance ---

    def up_to(self, most: int) -> int:
        return self.random.randint(1, most)

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def name(self, prefix: str) -> str:
        self.num_names += 1
        return f"{prefix}{self.num_names}"

    # --- values ---

    def add_variables(self) -> None:
        for _ in range(self.random.randrange(4)):
            value = self.number([Sample(State((1,)), self.constants)], range(1, 19), OF_PLACE)
            self.add_variable(value)
        if self.chance(0.3):
            self.add_variable(self.random.choice(BARE))
        if self.chance(0.3):
            self.add_variable([self.up_to(8) for _ in range(self.up_to(3))])

    def add_variable(self, written: Any) -> None:
        name = self.name("v")
        self.variables[name] = written
        self.constants[name] = value_of(written, self.constants)

    def number(self, samples: Samples, allowed: Sequence[int], without: Sequence[str] = ()) -> Any:
        """A whole number, often computed, that is allowed wherever it stands."""
        for _ in range(3):
            names = [
                name
                for name, value in samples[0].all_names.items()
                if isinstance(value, int) and name not in (*without, "block_index", "block_count")
            ]
            if not names or self.chance(0.3):
                break
            formula = "${name}" if self.chance(0.3) else self.random.choice(FORMULAS)
            name = self.random.choice(names[-4:] if self.chance(0.5) else names)  # the innermost come last
            written = formula.format(name=name, k=self.up_to(4))
            if all(value_of(written, sample.all_names) in allowed for sample in samples):
                return written
        return self.random.choice(allowed)

    def late(self, samples: Samples) -> list[str]:
        """The names that `times` may not depend on, because their values may come from what arrives."""
        early = (*self.constants, "index", "count")
        return [name for name in samples[0].all_names if name not in early and name[0] not in "nt"]

    def truth(self, samples: Samples, without: Sequence[str] = ()) -> Any:
        compare = self.random.choice(["==", "!=", "<", "<=", ">", ">="])
        left = self.number(samples, range(-99, 99), without)
        inner = str(left).removeprefix("$")
        return self.random.choice(
            [True, f"$({inner} {compare} {self.up_to(4)})", f"$(not {inner} {compare} 3 or false)"]
        )

    def cut(self, samples: Samples) -> Cut:
        """Padding makes up for what windows lose at the ends, or there is none."""
        smallest = min(min(sample.state.shape[1:]) for sample in samples)
        losses = [self.random.choice([0, 0, 1, 2, 3]) for _ in range(2)]
        strides = [self.random.choice([1, 1, 1, 2, 3]) if smallest > 3 else 1 for _ in range(2)]
        if self.chance(0.6):
            losses[1], strides[1] = losses[0], strides[0]
        return Cut((strides[0], strides[1]), (losses[0], losses[1]))

    def pair(self, height: int, width: int) -> Any:
        return height if height == width and self.chance(0.8) else [height, width]

    # --- lists of layers ---

    def items(self, samples: Samples, depth: int, most: int) -> tuple[list[Item], Samples]:
        """Layers one after another, and what leaves the last."""
        items: list[Item] = []
        for _ in range(self.up_to(most)):
            item, samples = self.fitting(samples, depth)
            items.append(item)
        return items, samples

    def fitting(self, samples: Samples, depth: int) -> tuple[Item, Samples]:
        """An item that works on all that arrives, and what leaves it."""
        for _ in range(10):
            makers = self.makers(samples, depth)
            try:
                item = self.random.choice(makers)(samples, depth + 1)
                return self.appended(self.with_common_fields(item, samples), samples)
            except UnfitError:
                continue
        return "relu", samples

    def appended(self, item: Item, samples: Samples) -> tuple[Item, Samples]:
        after = [replace(each, state=self.meaning.after([item], each.state, each.names)) for each in samples]
        return item, after

    def fits(self, item: Item, samples: Samples) -> bool:
        try:
            self.appended(item, samples)
        except UnfitError:
            return False
        return True

    def with_common_fields(self, item: Item, samples: Samples) -> Item:
        if isinstance(item, str) and item.startswith("$"):
            return item
        word, fields = fields_of(item)
        if self.chance(0.1):
            fields = {"name": self.name("part"), **fields}
        if self.chance(0.1):
            fields = {**fields, "when": self.truth(samples)}
        return {word: fields} if fields != fields_of(item)[1] else item

    def makers(self, samples: Samples, depth: int) -> list[Maker]:
        ranks = {len(sample.state.shape) for sample in samples}
        anywhere: list[Maker] = [self.element_wise, self.element_wise, self.given]
        if depth < MOST_DEPTH:
            anywhere += [self.group, self.repeat, self.call, self.call, self.layer_scale]
        if ranks == {1}:
            return [*anywhere, self.linear, self.linear, self.merge_of_features]
        if ranks != {3}:
            return anywhere
        anywhere += [self.window, self.window, self.window, self.norm, self.enlarged]
        if depth < MOST_DEPTH:
            anywhere += [self.residual, self.merge, self.merge, self.gate, self.split, self.per_pixel]
        return anywhere

    # --- single layers ---

    def element_wise(self, samples: Samples, depth: int) -> Item:
        if self.chance(0.2):
            counted = "block_index" in samples[0].names and self.chance(0.7)
            return {"dropout": {"p": "$(0.5 * block_index / block_count)" if counted else 0.1}}
        return self.random.choice(BARE)

    def given(self, samples: Samples, depth: int) -> Item:
        """What a name stands for: an argument, an item of `for`, or a variable."""
        names = [name for name, value in samples[0].names.items() if isinstance(value, Given) or value in BARE]
        return f"${self.random.choice(names)}" if names else "relu"

    def norm(self, samples: Samples, depth: int) -> Item:
        return self.random.choice(["batch_norm2d", {"batch_norm2d": {"affine": self.truth(samples)}}])

    def linear(self, samples: Samples, depth: int) -> Item:
        return {"linear": {"out_features": self.number(samples, WIDTHS), "bias": self.truth(samples)}}

    def enlarged(self, samples: Samples, depth: int) -> Item:
        stride = self.number(samples, [2, 3], OF_PLACE)
        if self.chance(0.5):
            return {"upsample": {"scale_factor": 2, "mode": self.random.choice(["nearest", "bilinear"])}}
        fields = {"out_channels": self.number(samples, WIDTHS), "kernel_size": self.up_to(4), "stride": stride}
        return {"conv_transpose2d": fields}

    def window(self, samples: Samples, depth: int) -> Item:
        if self.chance(0.1):
            wanted = self.pair(self.up_to(6), self.up_to(6))
            return {self.random.choice(["adaptive_avg_pool2d", "adaptive_max_pool2d"]): {"output_size": wanted}}
        return self.sliding(self.cut(samples), self.number(samples, WIDTHS), samples)

    def sliding(self, cut: Cut, width: Any, samples: Samples) -> Item:
        """One convolution or pooling that makes this cut."""
        halves = [self.random.randrange(3) * self.pads for _ in range(2)]
        reach = [loss + 2 * half for loss, half in zip(cut.losses, halves, strict=True)]
        dilation = [self.random.choice([part for part in range(1, 4) if r % part == 0]) for r in reach]
        kernel = [r // part + 1 for r, part in zip(reach, dilation, strict=True)]
        stride = cut.strides
        if stride[0] == stride[1] and self.chance(0.3):
            stride = (self.number(samples, [stride[0]], OF_PLACE),) * 2
        fields: dict[str, Any] = {"kernel_size": self.pair(kernel[0], kernel[1]), "stride": self.pair(*stride)}
        fields |= {"padding": self.pair(halves[0], halves[1])} if any(halves) else {}
        fields |= {"dilation": self.pair(dilation[0], dilation[1])} if dilation != [1, 1] else {}
        if width == "$in_channels" and dilation == [1, 1] and self.chance(0.3):
            pool = {self.random.choice(["max_pool2d", "avg_pool2d"]): fields}
            if self.fits(pool, samples):
                return pool
        groups = {"groups": "$in_channels"} if width == "$in_channels" and self.chance(0.3) else {}
        return {"conv2d": {"out_channels": width, **fields, **groups}}

    # --- groups ---

    def group(self, samples: Samples, depth: int) -> Item:
        items, _ = self.items(samples, depth, 3)
        return {"sequential": items}

    def layer_scale(self, samples: Samples, depth: int) -> Item:
        return {"layer_scale": {"layers": self.items(samples, depth, 2)[0], "init": self.random.choice([0.1, 1, 1e-6])}}

    def repeat(self, samples: Samples, depth: int) -> Item:
        if self.chance(0.5):
            how: dict[str, Any] = {"times": self.number(samples, range(4), self.late(samples))}
        else:
            length = self.up_to(3)
            how = {"for": {self.name("n"): self.values(length) for _ in range(self.up_to(2))}}
        inside = [replace(each, names=names) for each in samples for names in iterations(how, each.names)]
        items, _ = self.items(inside or samples, depth, 3)
        return {"repeat": {**how, "layers": items}}

    def values(self, length: int) -> list[Any]:
        if self.chance(0.3):
            return [self.random.choice(BARE) for _ in range(length)]
        return [self.number([Sample(State((1,)), self.constants)], WIDTHS, OF_PLACE) for _ in range(length)]

    def per_pixel(self, samples: Samples, depth: int) -> Item:
        norm = self.random.choice(["batch_norm1d", "layer_norm", "softmax", "relu"])
        pixels = [replace(sample, state=replace(sample.state, shape=sample.state.shape[:1])) for sample in samples]
        return {"per_pixel": [self.linear(pixels, depth), norm, *self.items(pixels, depth, 1)[0]]}

    # --- branches ---

    def arm(self, cut: Cut, width: Any, samples: Samples, depth: int) -> Item:
        """One branch that makes this cut, with as many channels as are wanted."""
        items = [self.sliding(cut, width, samples)]
        samples = [replace(each, state=self.meaning.after(items, each.state, each.names)) for each in samples]
        for _ in range(self.random.randrange(3)):
            same = Cut((1, 1), (0, 0))
            more = (
                self.sliding(same, "$in_channels", samples) if self.chance(0.5) else self.element_wise(samples, depth)
            )
            items.append(more)
        if len(items) == 1 and self.chance(0.8):
            return items[0]
        return {"sequential": items if self.chance(0.5) else {"layers": items}}

    def arms(self, samples: Samples, depth: int, number: int, same_width: bool) -> list[Item]:
        cut, width = self.cut(samples), self.width(samples)
        arms: list[Item] = []
        for _ in range(number):
            if cut.keeps_size and (width == "$in_channels" or not same_width) and self.chance(0.3):
                arms.append(self.random.choice(["identity", "relu"]))
            else:
                arms.append(self.arm(cut, width if same_width else self.width(samples), samples, depth))
        return arms

    def width(self, samples: Samples) -> Any:
        """Channels that mean the same at every place of a branch, or are always those that arrive."""
        return "$in_channels" if self.chance(0.4) else self.number(samples, WIDTHS, OF_PLACE)

    def merge(self, samples: Samples, depth: int) -> Item:
        word = self.random.choice(["add", "multiply", "concat", "concat"])
        arms = self.arms(samples, depth, self.random.randint(2, 3), same_width=word != "concat")
        if len(arms) == 3 and self.chance(0.3):
            arms[1] = self.with_when(arms[1], samples)
        return {word: arms if self.chance(0.5) else {"branches": arms}}

    def with_when(self, item: Item, samples: Samples) -> Item:
        word, fields = fields_of(item)
        return {word: {**fields, "when": self.truth(samples)}}

    def gate(self, samples: Samples, depth: int) -> Item:
        """Squeeze and excite; sometimes with one channel for all."""
        channels = self.random.choice(["$in_channels", "$in_channels", 1])
        squeeze: list[Item] = [{"adaptive_avg_pool2d": {"output_size": 1}}]
        squeeze += [{"conv2d": {"out_channels": channels, "kernel_size": 1}}, "sigmoid"]
        arms = ["identity", {"sequential": squeeze}]
        self.random.shuffle(arms)
        return {"multiply": arms}

    def split(self, samples: Samples, depth: int) -> Item:
        number = self.random.choice([2, 2, 3])
        shares = [
            replace(
                each, state=replace(each.state, shape=(max(each.state.channels // number, 1), *each.state.shape[1:]))
            )
            for each in samples
        ]
        arms = self.arms(shares, depth, number, same_width=False)
        return {"split": arms if self.chance(0.5) else {"branches": arms}}

    def residual(self, samples: Samples, depth: int) -> Item:
        if self.chance(0.4):
            keeps = Cut((1, 1), (0, 0))
            layers = [self.arm(keeps, "$in_channels", samples, depth), self.norm(samples, depth)]
            return {"residual": layers if self.chance(0.5) else {"layers": layers, "skip": self.truth(samples)}}
        layers, shortcut = ([arm] for arm in self.arms(samples, depth, 2, same_width=True))
        return {"residual": {"shortcut": shortcut, "layers": layers, "skip": self.truth(samples)}}

    def merge_of_features(self, samples: Samples, depth: int) -> Item:
        if self.chance(0.5):
            return {"concat": [self.linear(samples, depth), self.linear(samples, depth)]}
        return self.random.choice(
            [{"add": ["identity", "tanh"]}, {"residual": ["relu"]}, {"multiply": ["silu", "relu"]}]
        )

    # --- blocks ---

    def call(self, samples: Samples, depth: int) -> Item:
        if self.blocks and self.chance(0.6):
            name = self.random.choice(list(self.blocks))
            block = self.blocks[name]
            parameters = block.get("parameters", {}) if isinstance(block, dict) else {}
        else:
            name = self.name("Block")
            parameters = dict(self.parameters())
        arguments = {
            parameter: self.argument(parameter, samples, depth)
            for parameter, default in parameters.items()
            if default is None or self.chance(0.5)
        }
        if name not in self.blocks:
            self.add_block(name, parameters, arguments, samples, depth)
        return {name: arguments} if arguments else name

    def parameters(self) -> Iterator[tuple[str, Any]]:
        """Names and defaults, None where an argument is required: of numbers, of those for `times`, of layers."""
        for _ in range(self.random.randrange(3)):
            yield self.name("p"), self.random.choice([None, self.up_to(6), "$in_channels"])
        if self.chance(0.3):
            yield self.name("times"), self.random.choice([None, self.up_to(3)])
        if self.chance(0.4):
            yield self.name("act"), self.random.choice([None, *BARE])

    def argument(self, parameter: str, samples: Samples, depth: int) -> Any:
        if parameter.startswith("times"):
            return self.number(samples, range(1, 4), self.late(samples))
        if not parameter.startswith("act"):
            return self.number(samples, range(1, 9))
        if self.chance(0.4):
            return self.random.choice([self.random.choice(BARE), self.given(samples, depth)])
        items = [self.element_wise(samples, depth) for _ in range(self.random.randrange(3))]
        return [*items, {"layer_scale": {"init": 1, "layers": ["relu"]}}] if self.chance(0.5) else items

    def add_block(
        self, name: str, parameters: Mapping[str, Any], arguments: Mapping[str, Any], samples: Samples, depth: int
    ) -> None:
        """Make a block that fits where it is called first."""
        block: dict[str, Any] = {"parameters": parameters, "variables": {}, "layers": []}
        self.blocks[name] = block
        inside = [self.entered(name, arguments, each) for each in samples]
        for _ in range(self.random.randrange(3)):
            block["variables"][self.name("b")] = self.number(inside, range(1, 13))
            inside = [self.entered(name, arguments, each) for each in samples]
        del self.blocks[name]
        items, _ = self.items(inside, depth, 3)
        written = {key: part for key, part in {**block, "layers": items}.items() if part}
        self.blocks[name] = items if list(written) == ["layers"] else written

    def entered(self, name: str, arguments: Mapping[str, Any], sample: Sample) -> Sample:
        given = {parameter: argument(value, sample.all_names) for parameter, value in arguments.items()}
        _, state, names = self.meaning.entered(name, given, sample.state)
        return Sample(state, {**names, "block_index": 0, "block_count": 1})
