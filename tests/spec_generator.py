"""Specs as text: written from data, and generated at random so that every layer fits."""

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import yaml

from builder import Plan, load_spec, make_plan

Item = Any  # of `layers`: a word, or a mapping of one key
MapShape = tuple[int, int, int]
MAX_WIDTH = 12  # channels and features


def spec_text(image: Sequence[int], layers: Sequence[Item], training: Any = None) -> str:
    """A spec as a person might write it."""
    data: dict[str, Any] = {"input": list(image), "layers": list(layers)}
    if training is not None:
        data["training"] = training
    return yaml.safe_dump(data, sort_keys=False, default_flow_style=None, width=110)


def plan_of(text: str, folder: Path) -> Plan:
    """The plan of a spec's text, which goes the whole way through a file."""
    path = folder / "spec.yaml"
    path.write_text(text, encoding="utf-8")
    return make_plan(load_spec(path))


def generated_text(seed: int) -> str:
    """A valid spec; the same for the same seed."""
    return _Generator(Random(seed)).text()  # noqa: S311  # nothing secret


class _Generator:
    """Adds layers one after another, and keeps track of the shape, with arithmetic of its own."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.shape: tuple[int, ...] = ()
        self.layers: list[Item] = []
        self.image: MapShape = (0, 0, 0)
        # Where no window sees padding, fields can be compared exactly.
        self.pads = self.chance(0.5)

    def text(self) -> str:
        is_trained = self.chance(0.15)
        self.image = (1, 28, 28) if is_trained else (self.up_to(4), self.up_to(32), self.up_to(32))
        self.shape = self.image
        for _ in range(self.up_to(7)):
            self.add_on_map()
        if is_trained or self.chance(0.7):
            self.add_flatten()
            for _ in range(self.random.randrange(4)):
                self.add_on_features()
        if not is_trained:
            return spec_text(self.image, self.layers)
        if len(self.shape) > 1:
            self.add("flatten", {})
        self.add("linear", {"out_features": 10})
        self.add("log_softmax", {})
        return spec_text(self.image, self.layers, self.training())

    def up_to(self, most: int) -> int:
        return self.random.randint(1, most)

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def add(self, kind: str, arguments: dict[str, Any]) -> None:
        if self.chance(0.1):
            arguments = {"name": f"part{len(self.layers)}", **arguments}
        self.layers.append({kind: arguments} if arguments or self.chance(0.1) else kind)

    def some(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Some of these arguments, which are all optional."""
        return {name: value for name, value in arguments.items() if self.chance(0.5)}

    def pair(self, height: Any, width: Any) -> Any:
        """As a person writes it: one number where both are the same."""
        return height if height == width and self.chance(0.8) else [height, width]

    def add_on_map(self) -> None:
        self.random.choice(
            [self.add_conv, self.add_conv, self.add_pool, self.add_pool, self.add_adaptive, self.add_on_any]
        )()

    def add_conv(self) -> None:
        inputs, *sizes = self.shape
        groups = self.random.choice([part for part in range(1, inputs + 1) if inputs % part == 0])
        outputs = groups * self.up_to(MAX_WIDTH // groups)
        mode = self.random.choice(["zeros", "zeros", "reflect", "replicate", "circular"])
        axes = [self.conv_axis(size, mode) for size in sizes]
        (kernel, stride, padding, dilation, after) = zip(*axes, strict=True)
        arguments: dict[str, Any] = {"out_channels": outputs, "kernel_size": self.pair(*kernel)}
        if self.pads and all(step == 1 for step in stride) and self.chance(0.2) and mode in ("zeros", "replicate"):
            after = tuple(sizes)
            arguments["padding"] = "same"
        elif padding == (0, 0) and self.chance(0.3):
            arguments["padding"] = "valid"
        elif padding != (0, 0):
            arguments["padding"] = self.pair(*padding)
        arguments |= {"stride": self.pair(*stride)} if stride != (1, 1) or self.chance(0.2) else {}
        arguments |= {"dilation": self.pair(*dilation)} if dilation != (1, 1) or self.chance(0.2) else {}
        arguments |= {"groups": groups} if groups > 1 or self.chance(0.1) else {}
        arguments |= {"padding_mode": mode} if mode != "zeros" else {}
        arguments |= self.some({"bias": self.chance(0.3)})
        self.add("conv2d", arguments)
        self.shape = (outputs, *after)

    def conv_axis(self, size: int, mode: str) -> tuple[int, int, int, int, int]:
        """Kernel, stride, padding, dilation that fit, and the size after."""
        while True:
            kernel, dilation = self.up_to(5), self.random.choice([1, 1, 1, 2, 3])
            stride, padding = self.random.choice([1, 1, 2, 3]), self.random.choice([0, 0, 1, 2, 3]) * self.pads
            widest = {"reflect": size - 1, "circular": size}.get(mode, 3)
            room = size + 2 * padding - dilation * (kernel - 1) - 1
            if padding <= widest and room >= 0 and room // stride + 1 <= 30:
                return kernel, stride, padding, dilation, room // stride + 1

    def add_pool(self) -> None:
        channels, *sizes = self.shape
        is_max, rounds_up, steps_by_kernel = self.chance(0.5), self.pads and self.chance(0.5), self.chance(0.5)
        axes = [self.pool_axis(size, is_max, rounds_up, steps_by_kernel) for size in sizes]
        (kernel, stride, padding, dilation, after) = zip(*axes, strict=True)
        arguments: dict[str, Any] = {"kernel_size": self.pair(*kernel)}
        arguments |= {} if steps_by_kernel else {"stride": self.pair(*stride)}
        arguments |= {"padding": self.pair(*padding)} if padding != (0, 0) or self.chance(0.2) else {}
        arguments |= {"ceil_mode": rounds_up} if rounds_up or self.chance(0.2) else {}
        if is_max:
            arguments |= {"dilation": self.pair(*dilation)} if dilation != (1, 1) else {}
        else:
            arguments |= self.some({"count_include_pad": self.chance(0.5), "divisor_override": self.up_to(9)})
        self.add("max_pool2d" if is_max else "avg_pool2d", arguments)
        self.shape = (channels, *after)

    def pool_axis(self, size: int, is_max: bool, rounds_up: bool, steps_by_kernel: bool) -> tuple[int, ...]:
        while True:
            kernel = self.up_to(4)
            stride = kernel if steps_by_kernel else self.up_to(4)
            padding = self.random.randint(0, kernel // 2) * self.pads
            dilation = self.random.choice([1, 1, 2]) if is_max else 1
            room = size + 2 * padding - dilation * (kernel - 1) - 1
            if room < 0:
                continue
            after = room // stride + 1
            if rounds_up and room % stride and after * stride < size + padding:
                after += 1
            return kernel, stride, padding, dilation, after

    def add_adaptive(self) -> None:
        channels, *sizes = self.shape
        wanted = [self.random.choice([None, 1, self.up_to(9), self.up_to(9)]) for _ in sizes]
        kind = self.random.choice(["adaptive_avg_pool2d", "adaptive_max_pool2d"])
        self.add(kind, {"output_size": self.pair(*wanted)})
        self.shape = (channels, *(size if new is None else new for size, new in zip(sizes, wanted, strict=True)))

    def add_on_any(self) -> None:
        """A layer that keeps the shape."""
        rank = len(self.shape)
        dims = [*range(1, rank + 1), *range(-rank, 0)]
        norm = {"eps": self.random.choice([1e-5, 0.001, 1e-3]), "momentum": self.random.choice([0.1, None, 0, 1])}
        norm |= {"affine": self.chance(0.5), "track_running_stats": self.chance(0.5)}
        drop = {"p": self.random.choice([0, 0.1, 0.5])}
        kinds: list[tuple[str, dict[str, Any]]] = [
            ("batch_norm2d" if rank == 3 else "batch_norm1d", norm),
            ("relu", {}),
            ("leaky_relu", {"negative_slope": self.random.choice([0.2, 0, -1, 1e-3])}),
            ("gelu", {"approximate": self.random.choice(["none", "tanh"])}),
            ("silu", {}),
            ("tanh", {}),
            ("sigmoid", {}),
            ("softmax", {"dim": self.random.choice(dims)}),
            ("log_softmax", {"dim": self.random.choice(dims)}),
            ("dropout", drop),
            ("dropout2d" if rank == 3 else "dropout", drop),
            ("identity", {}),
        ]
        kind, arguments = self.random.choice(kinds)
        self.add(kind, self.some(arguments))

    def add_flatten(self) -> None:
        rank = len(self.shape)
        first = self.random.choice([1, 1, *range(1, rank + 1)])
        last = self.random.choice([rank, rank, *range(first, rank + 1)])
        arguments = {"start_dim": first if self.chance(0.6) or first == 1 else first - rank - 1}
        arguments |= {"end_dim": last if self.chance(0.6) else last - rank - 1}
        needed = {"start_dim": 1, "end_dim": rank}
        self.add("flatten", {name: dim for name, dim in arguments.items() if dim != needed[name] or self.chance(0.3)})
        joined = 1
        for size in self.shape[first - 1 : last]:
            joined *= size
        self.shape = (*self.shape[: first - 1], joined, *self.shape[last:])

    def add_on_features(self) -> None:
        """Behind a flatten, which may have left a map, or rows of features."""
        if len(self.shape) == 3:
            self.add_on_map()
        elif self.chance(0.4):
            features = self.up_to(MAX_WIDTH)
            self.add("linear", {"out_features": features} | self.some({"bias": self.chance(0.5)}))
            self.shape = (*self.shape[:-1], features)
        elif len(self.shape) == 2 and self.chance(0.2):
            self.add_flatten()
        else:
            self.add_on_any()

    def training(self) -> dict[str, Any]:
        choose = self.random.choice
        lr = choose([0.1, 0.001, 1e-5, 1])
        optimizers = {
            "sgd": {"lr": lr, "momentum": 0.9, "weight_decay": 1e-4, "nesterov": True},
            "adam": {"lr": lr} | self.some({"betas": [0.9, 0.99], "amsgrad": True}),
            "adamw": self.some({"lr": lr, "weight_decay": 0.05}),
            "adadelta": self.some({"lr": lr, "rho": 0.8}),
        }
        optimizer = choose(list(optimizers))
        schedulers = {
            "one_cycle": {"max_lr": lr, "cycle_momentum": optimizer != "adadelta"} | self.some({"pct_start": 0.25}),
            "cosine": self.some({"eta_min": 1e-6}),
            "step": {"step_size": self.up_to(5)} | self.some({"gamma": 0.7}),
        }
        scheduler = choose(list(schedulers))
        dataset = choose(
            [
                "mnist",
                "fashion_mnist",
                "mnist_sample",
                {"mnist": {"fallback": "mnist_sample"}},
                {"mnist": {"mean": 0.5, "std": [0.5]}},
            ]
        )
        required = {"dataset": dataset, "epochs": self.up_to(20), "batch_size": choose([32, 64, 100, 128])}
        required |= {"loss": choose(["nll_loss", "cross_entropy", {"cross_entropy": {"label_smoothing": 0.1}}])}
        required |= {"optimizer": {optimizer: optimizers[optimizer]}}
        optional = {"scheduler": choose([None, {scheduler: schedulers[scheduler]}]), "seed": self.up_to(10**9)}
        return required | self.some(optional | {"device": choose(["auto", "cpu", "cuda:1", "mps"])})
