"""What a layer refuses torch refuses too, or gives an empty tensor for; what it accepts torch accepts.

Small grids, tried out whole. Where we refuse more on purpose (another rank, the batch as `dim`) is said at the test.
"""

from collections.abc import Callable, Iterable, Mapping
from itertools import product
from typing import Any

import pytest
import torch
from torch_oracle import one_thread

from builder.geometry import AxisField
from builder.kinds import MisfitError
from builder.layers import LAYERS, Layer, Shape
from builder.plan import Signal
from builder.problems import Severity

ERROR: Severity = "error"
REFUSALS = (RuntimeError, ValueError, IndexError)  # of torch

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")


def made(kind: str, arguments: Mapping[str, Any]) -> Layer:
    return LAYERS[kind].read(arguments)


def conv(kernel_size: Any, **arguments: Any) -> Layer:
    return made("conv2d", {"out_channels": 1, "kernel_size": kernel_size, **arguments})


def ours(layer: Layer, in_shape: Shape) -> Shape | None:
    """The shape that we foresee, if we accept the layer."""
    if any(misfit.severity == ERROR for misfit in layer.rules()):
        return None
    # Features and rows of features arrive here as they do behind a flatten; only the shape matters.
    axes = {1: ((0, 1),), 2: ((), (0, 1)), 3: ((), (0,), (1,))}[len(in_shape)]
    field = (AxisField.of_input(in_shape[-2] if len(in_shape) == 3 else 1), AxisField.of_input(in_shape[-1]))
    try:
        return Signal(in_shape, axes, field).through(layer, "layer").shape
    except MisfitError:
        return None


@torch.no_grad()
def torchs(layer: Layer, in_shape: Shape) -> Shape | None:
    """The shape that torch gives on the CPU, if it accepts the layer."""
    try:
        values = layer.module(in_shape)(torch.zeros(2, *in_shape))
    except REFUSALS:
        return None
    return tuple(values.shape[1:]) if values.numel() else None


@one_thread()
def disagreements(cases: Iterable[tuple[Layer, Shape]], *, both_outcomes: bool = True) -> list[str]:
    wrong = []
    outcomes = set()
    for layer, in_shape in cases:
        foreseen, found = ours(layer, in_shape), torchs(layer, in_shape)
        outcomes.add(found is None)
        if foreseen != found:
            wrong.append(f"{layer} on {in_shape}: we say {foreseen}, torch {found}")
    assert outcomes == ({True, False} if both_outcomes else {False})  # else the grid shows nothing
    return wrong


def test_a_convolution_fits_where_torch_says_so() -> None:
    grid = product(range(1, 7), range(1, 5), range(1, 4), range(3), range(1, 4))
    cases = ((conv([k, 2], stride=s, padding=p, dilation=[d, 1]), (1, n, 5)) for n, k, s, p, d in grid)
    assert disagreements(cases) == []


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_a_convolution_with_a_word_for_padding_fits_where_torch_says_so(padding: str) -> None:
    cases = (
        (conv([2, k], stride=[1, s], padding=padding, dilation=d), (1, 4, n))
        for n, k, s, d in product(range(1, 7), range(1, 6), (1, 2), (1, 2, 3))
    )
    assert disagreements(cases) == []


@pytest.mark.parametrize("padding_mode", ["zeros", "reflect", "replicate", "circular"])
def test_padding_with_pixels_is_as_wide_as_torch_allows(padding_mode: str) -> None:
    cases = [
        (conv(k, padding=[p, 1], padding_mode=padding_mode), (1, n, 4))
        for n, k, p in product(range(1, 6), range(1, 5), range(8))
    ]
    assert disagreements(cases) == []


@pytest.mark.parametrize("padding_mode", ["zeros", "reflect", "replicate", "circular"])
def test_same_padding_with_pixels_is_as_wide_as_torch_allows(padding_mode: str) -> None:
    cases = [
        (conv([k, 1], dilation=d, padding="same", padding_mode=padding_mode), (1, n, 2))
        for n, k, d in product(range(1, 5), range(1, 10), (1, 2, 3))
    ]
    assert disagreements(cases, both_outcomes=padding_mode in ("reflect", "circular")) == []


def test_groups_divide_the_channels_as_torch_wants() -> None:
    cases = (
        (made("conv2d", {"out_channels": outputs, "kernel_size": 1, "groups": groups}), (inputs, 2, 2))
        for inputs, outputs, groups in product(range(1, 7), repeat=3)
    )
    assert disagreements(cases) == []


@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize("stride", [None, 1, 2, 3, 4])
def test_max_pooling_fits_where_torch_says_so(stride: int | None, ceil_mode: bool) -> None:
    # The padding is at most half of the kernel as written: its dilation doesn't count.
    common = {"stride": stride, "ceil_mode": ceil_mode}
    cases = (
        (made("max_pool2d", {"kernel_size": [k, 2], "padding": [p, 0], "dilation": [d, 1]} | common), (1, n, 6))
        for n, k, p, d in product(range(1, 8), range(1, 6), range(4), range(1, 4))
    )
    assert disagreements(cases) == []


@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize("stride", [None, 1, 2, 3, 4])
def test_average_pooling_fits_where_torch_says_so(stride: int | None, ceil_mode: bool) -> None:
    common = {"stride": stride, "ceil_mode": ceil_mode}
    cases = (
        (made("avg_pool2d", {"kernel_size": [2, k], "padding": [1, p]} | common), (1, 3, n))
        for n, k, p in product(range(1, 10), range(1, 8), range(5))
    )
    assert disagreements(cases) == []


@pytest.mark.parametrize("kind", ["adaptive_avg_pool2d", "adaptive_max_pool2d"])
def test_adaptive_pooling_takes_every_size(kind: str) -> None:
    sizes = [None, *range(1, 9)]
    cases = ((made(kind, {"output_size": [size, 3]}), (2, n, 5)) for n, size in product(range(1, 7), sizes))
    assert disagreements(cases, both_outcomes=False) == []


SHAPES: list[Shape] = [(6,), (3, 4), (2, 3, 4)]


def test_flatten_takes_the_dimensions_that_torch_takes() -> None:
    # The batch (0) can be written in torch; here images stay apart.
    cases = (
        (made("flatten", {"start_dim": start, "end_dim": end}), shape)
        for shape, start, end in product(SHAPES, range(-4, 4), range(-5, 5))
        if is_not_batch(start, shape) and is_not_batch(end, shape)
    )
    assert disagreements(cases) == []


@pytest.mark.parametrize("kind", ["softmax", "log_softmax"])
def test_softmax_takes_the_dimensions_that_torch_takes(kind: str) -> None:
    cases = (
        (made(kind, {"dim": dim}), shape) for shape, dim in product(SHAPES, range(-5, 5)) if is_not_batch(dim, shape)
    )
    assert disagreements(cases) == []


def is_not_batch(dim: int, shape: Shape) -> bool:
    return dim not in (0, -len(shape) - 1)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("counted_from", ["the front", "the back"])
def test_no_dimension_is_the_batch(shape: Shape, counted_from: str) -> None:
    dim = 0 if counted_from == "the front" else -len(shape) - 1
    layers = made("softmax", {"dim": dim}), made("flatten", {"start_dim": dim}), made("flatten", {"end_dim": dim})
    for layer in layers:
        with pytest.raises(MisfitError, match=r"is the batch, and images must not be mixed"):
            layer.check_input(shape)


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        ("batch_norm1d", (3,)),
        ("batch_norm1d", (3, 1)),
        ("batch_norm1d", (3, 2)),
        ("batch_norm1d", (1, 5)),
        ("batch_norm2d", (3, 1, 1)),
        ("batch_norm2d", (3, 1, 2)),
        ("batch_norm2d", (1, 1, 1)),
    ],
)
def test_batch_norm_can_train_on_one_image_where_we_say_so(kind: str, shape: Shape) -> None:
    layer = made(kind, {})
    values = layer.values_per_channel(shape)
    module = layer.module(shape).train()
    module(torch.zeros(2, *shape))
    assert refuses(lambda: module(torch.zeros(1, *shape))) == (values == 1)


def refuses(action: Callable[[], object]) -> bool:
    try:
        action()
    except REFUSALS:
        return True
    return False
