"""Specs as text: written from data, and generated at random so that every layer fits."""

from collections.abc import Sequence
from math import prod
from pathlib import Path
from random import Random
from typing import Any

import yaml

from builder import Plan, load_spec, make_plan

Item = Any  # of `layers`: a word, or a mapping of one key
MapShape = tuple[int, int, int]
MAX_WIDTH = 12  # channels and features
MAX_LENGTH = 40  # of what an enlarging layer gives


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


WITHOUT_MOMENTUM = ("adadelta", "adagrad", "rmsprop")  # as they are generated


class _Generator:
    """Adds layers one after another, and keeps track of the shape, with arithmetic of its own."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.shape: tuple[int, ...] = ()
        self.layers: list[Item] = []
        self.image: MapShape = (0, 0, 0)
        self.whole_channels = 0  # in the first dimension, which holds positions too behind a flatten
        self.joined: tuple[int, ...] = ()  # what the last flatten made features of; () behind a linear layer
        # Where no window sees padding, fields can be compared exactly.
        self.pads = self.chance(0.5)

    def text(self) -> str:
        is_trained = self.chance(0.15)
        self.image = self.trained_image() if is_trained else (self.up_to(4), self.up_to(32), self.up_to(32))
        self.shape = self.image
        for _ in range(self.up_to(7)):
            self.add_on_map()
        if is_trained or self.chance(0.7):
            if self.chance(0.15):
                self.add_rows()
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

    def trained_image(self) -> MapShape:
        """That of digits, or of photographs."""
        return (3, 32, 32) if self.chance(0.15) else (1, 28, 28)

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
        adders = [self.add_conv, self.add_conv, self.add_pool, self.add_pool, self.add_adaptive, self.add_shuffle]
        adders += [self.add_transposed, self.add_upsample, self.add_on_any, self.add_on_any]
        self.random.choice([*adders, self.add_glu, self.add_pad] if self.pads else [*adders, self.add_glu])()

    def add_conv(self) -> None:
        inputs, *sizes = self.shape
        groups = self.random.choice(self.parts_of(inputs))
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

    def add_transposed(self) -> None:
        inputs, *sizes = self.shape
        groups = self.random.choice(self.parts_of(inputs))
        outputs = groups * self.up_to(MAX_WIDTH // groups)
        axes = [self.transposed_axis(size) for size in sizes]
        (kernel, stride, padding, output_padding, dilation, after) = zip(*axes, strict=True)
        arguments: dict[str, Any] = {"out_channels": outputs, "kernel_size": self.pair(*kernel)}
        arguments |= {"stride": self.pair(*stride)} if stride != (1, 1) else {}
        arguments |= {"padding": self.pair(*padding)} if padding != (0, 0) else {}
        arguments |= {"output_padding": self.pair(*output_padding)} if output_padding != (0, 0) else {}
        arguments |= {"dilation": self.pair(*dilation)} if dilation != (1, 1) else {}
        arguments |= {"groups": groups} if groups > 1 else {}
        self.add("conv_transpose2d", arguments | self.some({"bias": self.chance(0.3)}))
        self.shape = (outputs, *after)

    def transposed_axis(self, size: int) -> tuple[int, ...]:
        """Kernel, stride, padding, output padding, dilation and the size after."""
        while True:
            kernel, stride, dilation = self.up_to(4), self.random.choice([1, 2, 2, 3]), self.random.choice([1, 1, 1, 2])
            padding, output_padding = self.random.choice([0, 0, 1, 2]), self.random.randrange(max(stride, dilation))
            after = (size - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding + 1
            if 1 <= after <= MAX_LENGTH:
                return kernel, stride, padding, output_padding, dilation, after

    def add_upsample(self) -> None:
        channels, *sizes = self.shape
        mode = self.random.choice(["nearest", "nearest-exact", "bilinear", "bicubic"])
        is_smooth = mode.startswith("bi")
        factors = [
            self.random.choice(
                [factor for factor in (0.5, 0.75, 1, 1.5, 2, 2.5) if 1 <= int(size * factor) <= MAX_LENGTH]
            )
            for size in sizes
        ]
        after = [int(size * factor) for size, factor in zip(sizes, factors, strict=True)]
        if is_smooth and self.chance(0.5):
            after = [self.up_to(MAX_LENGTH), self.up_to(MAX_LENGTH)]
            arguments: dict[str, Any] = {"size": self.pair(*after)}
        else:
            arguments = {"scale_factor": self.pair(*factors)}
        arguments |= {"mode": mode} if mode != "nearest" or self.chance(0.3) else {}
        arguments |= self.some({"align_corners": self.random.choice([True, False, None])}) if is_smooth else {}
        self.add("upsample", arguments)
        self.shape = (channels, *after)

    def add_pad(self) -> None:
        channels, height, width = self.shape
        kind = self.random.choice(["zero_pad2d", "reflection_pad2d", "replication_pad2d"])
        widest = [min(size - 1, 3) if kind == "reflection_pad2d" else 3 for size in (height, width)]
        top, bottom, left, right = (self.random.randint(0, widest[axis]) for axis in (0, 0, 1, 1))
        is_even = self.chance(0.3)
        self.add(kind, {"padding": min(left, top) if is_even else [left, right, top, bottom]})
        added = (2 * min(left, top), 2 * min(left, top)) if is_even else (top + bottom, left + right)
        self.shape = (channels, height + added[0], width + added[1])

    def add_shuffle(self) -> None:
        channels, height, width = self.shape
        if channels % 4 == 0 and 2 * max(height, width) <= MAX_LENGTH:
            self.add("pixel_shuffle", {"upscale_factor": 2})
            self.shape = (channels // 4, 2 * height, 2 * width)
        else:
            self.add("channel_shuffle", {"groups": self.random.choice(self.parts_of(channels))})

    def parts_of(self, number: int) -> list[int]:
        return [part for part in range(1, number + 1) if number % part == 0]

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
            (
                "group_norm",
                {"num_groups": self.random.choice(self.parts_of(self.shape[0]))} | self.some({"affine": False}),
            ),
            ("layer_norm", {"elementwise_affine": self.chance(0.7), "bias": self.chance(0.7)}),
            ("relu", {}),
            ("leaky_relu", {"negative_slope": self.random.choice([0.2, 0, -1, 1e-3])}),
            ("gelu", {"approximate": self.random.choice(["none", "tanh"])}),
            *((kind, {}) for kind in ("silu", "tanh", "sigmoid", "relu6", "selu", "hardswish", "hardsigmoid", "mish")),
            *((kind, {"alpha": self.random.choice([0.5, 2])}) for kind in ("elu", "celu")),
            ("prelu", {"num_parameters": self.random.choice([1, self.shape[0]]), "init": 0.1}),
            ("softplus", {"beta": self.random.choice([0.5, 2]), "threshold": 10}),
            ("softmax", {"dim": self.random.choice(dims)}),
            ("log_softmax", {"dim": self.random.choice(dims)}),
            ("dropout", drop),
            ("dropout2d" if rank == 3 else "dropout", drop),
            ("stochastic_depth", {"p": self.random.choice([0.1, 0.5]), "mode": self.random.choice(["row", "batch"])}),
            ("identity", {}),
        ]
        if rank == 3 and self.shape[1:] != (1, 1):
            kinds.append(("instance_norm2d", norm | {"momentum": 0.2}))
        if rank > 1:
            kinds.append(("local_response_norm", {"size": self.up_to(6), "alpha": 0.01, "beta": 0.5, "k": 2}))
        kind, arguments = self.random.choice(kinds)
        needed = {name: arguments.pop(name) for name in ("num_groups", "size", "p") if name in arguments}
        self.add(kind, needed | self.some(arguments))

    def add_glu(self) -> None:
        """Half of the channels, which behind a flatten are the slowest part of the first dimension."""
        if self.channels % 2:
            self.add_on_any()
            return
        rank = len(self.shape)
        self.add("glu", {"dim": self.random.choice([1, -rank])} if rank > 1 or self.chance(0.3) else {})
        self.shape = (self.shape[0] // 2, *self.shape[1:])
        self.whole_channels //= 2

    @property
    def channels(self) -> int:
        return self.shape[0] if len(self.shape) == 3 else self.whole_channels

    def add_flatten(self) -> None:
        rank = len(self.shape)
        self.whole_channels = self.channels
        self.joined = self.shape
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
        rank = len(self.shape)
        if rank == 3:
            self.add_on_map()
        elif self.chance(0.4):
            self.add_linear()
        elif rank == 2 and self.chance(0.2):
            self.add_flatten()
        elif rank == 1 and self.chance(0.3):
            self.add_unflatten()
        else:
            self.random.choice([self.add_on_any, self.add_on_any, self.add_glu])()

    def add_linear(self) -> None:
        features = self.up_to(MAX_WIDTH)
        self.add("linear", {"out_features": features} | self.some({"bias": self.chance(0.5)}))
        self.shape = (*self.shape[:-1], features)
        if len(self.shape) == 1:
            self.whole_channels, self.joined = features, ()

    def add_unflatten(self) -> None:
        """To what a flatten has joined; behind a linear layer, where each feature sees everything, to any shape."""
        (features,) = self.shape
        channels, *sizes = self.joined or self.any_sizes(features)
        channels = self.whole_channels if self.joined else channels
        if self.joined and channels * prod(sizes) != features:
            self.add_on_any()
            return
        if len(sizes) == 2 and self.chance(0.3):
            sizes = [prod(sizes)]
        self.add("unflatten", {"dim": self.random.choice([1, -1]), "unflattened_size": [channels, *sizes]})
        self.shape, self.whole_channels = (channels, *sizes), channels

    def any_sizes(self, features: int) -> tuple[int, int, int]:
        channels = self.random.choice(self.parts_of(features))
        height = self.random.choice(self.parts_of(features // channels))
        return channels, height, features // channels // height

    def add_rows(self) -> None:
        """A map of which one axis is a single row or column becomes (channels, length), and layers slide along it."""
        channels, *sizes = self.shape
        single = self.random.randrange(2)
        self.add("adaptive_avg_pool2d", {"output_size": [1, None] if single == 0 else [None, 1]})
        self.add("flatten", {"start_dim": 2})
        self.shape, self.whole_channels = (channels, sizes[1 - single]), channels
        for _ in range(self.up_to(3)):
            self.random.choice([self.add_conv_of_rows, self.add_pool_of_rows, self.add_adaptive_of_rows])()

    def add_conv_of_rows(self) -> None:
        channels, length = self.shape
        groups, mode = self.random.choice(self.parts_of(channels)), self.random.choice(["zeros", "reflect", "circular"])
        outputs = groups * self.up_to(MAX_WIDTH // groups)
        kernel, stride, padding, dilation, after = self.conv_axis(length, mode)
        arguments = {"out_channels": outputs, "kernel_size": kernel, "groups": groups, "padding_mode": mode}
        self.add("conv1d", arguments | {"stride": stride, "padding": padding, "dilation": dilation})
        self.shape, self.whole_channels = (outputs, after), outputs

    def add_pool_of_rows(self) -> None:
        channels, length = self.shape
        is_max, rounds_up = self.chance(0.5), self.pads and self.chance(0.5)
        kernel, stride, padding, dilation, after = self.pool_axis(length, is_max, rounds_up, steps_by_kernel=False)
        arguments = {"kernel_size": kernel, "stride": stride, "padding": padding, "ceil_mode": rounds_up}
        self.add("max_pool1d" if is_max else "avg_pool1d", arguments | ({"dilation": dilation} if is_max else {}))
        self.shape = (channels, after)

    def add_adaptive_of_rows(self) -> None:
        length = self.up_to(9)
        self.add("adaptive_avg_pool1d", {"output_size": length})
        self.shape = (self.shape[0], length)

    def training(self) -> dict[str, Any]:
        choose = self.random.choice
        lr = choose([0.1, 0.001, 1e-5, 1])
        optimizers = {
            "sgd": {"lr": lr, "momentum": 0.9, "weight_decay": 1e-4, "nesterov": True},
            "adam": {"lr": lr} | self.some({"betas": [0.9, 0.99], "amsgrad": True}),
            "adamw": self.some({"lr": lr, "weight_decay": 0.05}),
            "nadam": self.some({"lr": lr, "momentum_decay": 0.01}),
            "radam": self.some({"lr": lr, "decoupled_weight_decay": True}),
            "rmsprop": self.some({"lr": lr, "alpha": 0.9, "centered": True}),
            "adagrad": self.some({"lr": lr, "lr_decay": 0.01}),
            "adadelta": self.some({"lr": lr, "rho": 0.8}),
            "muon": self.some({"lr": lr, "adamw": {"lr": lr}}),
        }
        optimizer = choose(list(optimizers))
        schedulers = {
            "one_cycle": {"max_lr": lr, "cycle_momentum": optimizer not in WITHOUT_MOMENTUM}
            | self.some({"pct_start": 0.25}),
            "cosine": self.some({"eta_min": 1e-6}),
            "cosine_restarts": {"T_0": self.up_to(5)} | self.some({"T_mult": 2}),
            "linear": {"start_factor": 1, "end_factor": 0.1},
            "polynomial": self.some({"power": 2}),
            "multi_step": {"milestones": [1, 3]} | self.some({"gamma": 0.7}),
            "exponential": {"gamma": 0.9},
            "reduce_on_plateau": self.some({"factor": 0.5, "patience": 0}),
            "step": {"step_size": self.up_to(5)} | self.some({"gamma": 0.7}),
        }
        scheduler = choose(list(schedulers))
        own: dict[str, Any] = {"synthetic": {"image": list(self.image)}}
        dataset: Any = choose(["cifar10", own])
        if self.image == (1, 28, 28):
            digits = [{"mnist": {"fallback": "mnist_sample"}}, {"mnist": {"mean": 0.5, "std": [0.5]}}]
            digits += [{"emnist": {"split": "digits"}}, own]
            digits += [{"image_folder": {"path": "pictures", "image": [1, 28, 28], "classes": 10}}]
            dataset = choose(["mnist", "fashion_mnist", "kmnist", "mnist_sample", *digits])
        required = {"dataset": dataset, "epochs": self.up_to(20), "batch_size": choose([32, 64, 100, 128])}
        losses = ["nll_loss", "cross_entropy", "mse_loss", {"focal_loss": {"gamma": 1}}]
        required |= {"loss": choose([*losses, {"cross_entropy": {"label_smoothing": 0.1}}])}
        required |= {"optimizer": {optimizer: optimizers[optimizer]}}
        if scheduler == "reduce_on_plateau":
            required |= {"validation": {"size": 100}}
        optional = {"scheduler": choose([None, {scheduler: schedulers[scheduler]}]), "seed": self.up_to(10**9)}
        return required | self.some(optional | {"device": choose(["auto", "cpu", "cuda:1", "mps"])})
