"""What a layer refuses torch refuses too, or gives an empty tensor for; what it accepts torch accepts.

Small grids, tried out whole. Where we refuse more on purpose (another rank, the batch as `dim`) is said at the test.
"""

from collections.abc import Callable, Iterable, Mapping
from itertools import product
from typing import Any

import pytest
import torch
from torch_oracle import one_thread

from builder.kinds import MisfitError
from builder.layers import LAYERS, Layer, Shape
from builder.limits import MAX_SIZE
from builder.plan.fitting import Fitting
from builder.problems import Severity
from builder.signals import Signal

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
    try:
        _, after = Fitting().through(layer, "layer", arriving(in_shape))
    except MisfitError:
        return None
    return after.shape


def arriving(in_shape: Shape) -> Signal:
    """Features and rows of features arrive as they do behind a flatten, of a map of one row at most."""
    channels, height, width = {1: (*in_shape, 1, 1), 2: (in_shape[0], 1, in_shape[-1]), 3: in_shape}[len(in_shape)]
    signal = Signal.of_input((channels, height, width))
    if len(in_shape) == 3:
        return signal
    return Signal(signal.form.merged(in_shape, len(in_shape) - 1, 2).form, signal.receptive_field)


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


def test_a_transposed_convolution_fits_where_torch_says_so() -> None:
    cases = (
        (transposed([k, 1], stride=[s, 1], padding=[p, 0], output_padding=[o, 0], dilation=[d, 1]), (1, n, 2))
        for n, k, s, p, o, d in product((1, 2, 4), (1, 2, 3), (1, 2, 3), range(5), range(4), (1, 2, 3))
    )
    assert disagreements(cases) == []


def transposed(kernel_size: Any, **arguments: Any) -> Layer:
    return made("conv_transpose2d", {"out_channels": 1, "kernel_size": kernel_size, **arguments})


def test_the_groups_of_a_transposed_convolution_divide_the_channels_as_torch_wants() -> None:
    cases = (
        (made("conv_transpose2d", {"out_channels": outputs, "kernel_size": 1, "groups": groups}), (inputs, 2, 2))
        for inputs, outputs, groups in product(range(1, 7), repeat=3)
    )
    assert disagreements(cases) == []


def test_a_transposed_convolution_tells_the_padding_that_fits() -> None:
    layer = transposed(2, stride=2, padding=4)
    with pytest.raises(
        MisfitError, match=r"height of the output would be -2: \(3-1\)\*2-2\*4\+1\*\(2-1\)\+0\+1 = -2"
    ) as caught:
        layer.check_input((1, 3, 3))
    assert caught.value.misfit.hint == "write a padding up to 2"
    assert ours(transposed(2, stride=2, padding=2), (1, 3, 3)) == (1, 2, 2)
    assert ours(transposed(2, stride=2, padding=3), (1, 3, 3)) is None


@pytest.mark.parametrize("padding", [0, 1, "same", "valid"])
@pytest.mark.parametrize("padding_mode", ["zeros", "reflect", "circular"])
def test_a_convolution_along_rows_fits_where_torch_says_so(padding: Any, padding_mode: str) -> None:
    common = {"out_channels": 1, "padding": padding, "padding_mode": padding_mode}
    cases = [
        (made("conv1d", {"kernel_size": k, "stride": s, "dilation": d} | common), (1, n))
        for n, k, s, d in product(range(1, 6), range(1, 5), (1, 2), (1, 3))
    ]
    assert disagreements(cases) == []


@pytest.mark.parametrize("kind", ["max_pool1d", "avg_pool1d"])
@pytest.mark.parametrize("ceil_mode", [False, True])
def test_pooling_of_rows_fits_where_torch_says_so(kind: str, ceil_mode: bool) -> None:
    cases = (
        (made(kind, {"kernel_size": k, "stride": s, "padding": p, "ceil_mode": ceil_mode}), (2, n))
        for n, k, s, p in product(range(1, 8), range(1, 6), (None, 1, 2, 4), range(4))
    )
    assert disagreements(cases) == []


def test_adaptive_pooling_of_rows_takes_every_size() -> None:
    cases = ((made("adaptive_avg_pool1d", {"output_size": m}), (2, n)) for n, m in product(range(1, 7), range(1, 9)))
    assert disagreements(cases, both_outcomes=False) == []


def test_a_reflection_is_as_wide_as_torch_allows() -> None:
    cases = (
        (made("reflection_pad2d", {"padding": [left, right, top, bottom]}), (1, height, width))
        for height, width in ((1, 2), (2, 3), (3, 1))
        for left, right, top, bottom in product(range(4), repeat=4)
    )
    assert disagreements(cases) == []


@pytest.mark.parametrize("kind", ["zero_pad2d", "replication_pad2d"])
def test_other_padding_is_as_wide_as_one_likes(kind: str) -> None:
    cases = ((made(kind, {"padding": list(sides)}), (1, 1, 2)) for sides in product(range(4), repeat=4))
    assert disagreements(cases, both_outcomes=False) == []


MODES = ["nearest", "nearest-exact", "bilinear", "bicubic"]
FACTORS = [0.1, 0.15, 0.2, 0.25, 0.3, 1 / 3, 0.5, 0.7, 0.9, 1, 1.15, 1.3, 1.5, 2, 2.9, 7]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("align_corners", [None, False, True])
def test_upsampling_by_a_factor_fits_where_torch_says_so(mode: str, align_corners: bool | None) -> None:
    more = {"mode": mode, "align_corners": align_corners}
    cases = (
        (made("upsample", {"scale_factor": [factor, 1]} | more), (1, n, 2))
        for n, factor in product(range(1, 21), FACTORS)
    )
    if align_corners is None or mode.startswith("bi"):
        assert disagreements(cases) == []
    else:
        assert {(ours(*case), torchs(*case)) for case in cases} == {(None, None)}


@pytest.mark.parametrize("mode", MODES)
def test_upsampling_to_a_size_fits_always(mode: str) -> None:
    cases = (
        (made("upsample", {"size": [m, 2], "mode": mode}), (1, n, 2)) for n, m in product(range(1, 6), range(1, 9))
    )
    assert disagreements(cases, both_outcomes=False) == []


def test_upsampling_wants_a_size_or_a_factor_and_not_both() -> None:
    arguments: list[dict[str, Any]] = [{}, {"size": 2}, {"scale_factor": 2}, {"size": 2, "scale_factor": 2}]
    assert disagreements((made("upsample", given), (1, 1, 1)) for given in arguments) == []


def test_no_layer_enlarges_a_map_without_bounds() -> None:
    # Torch would try; the machine would not bear it.
    for layer in (made("upsample", {"scale_factor": MAX_SIZE}), transposed(1, stride=MAX_SIZE)):
        layer.check_input((1, 1, 1))
        with pytest.raises(MisfitError, match=r"height of the output would be"):
            layer.check_input((1, 3, 1))


@pytest.mark.parametrize("kind", ["group_norm", "channel_shuffle"])
def test_groups_of_channels_divide_them_as_torch_wants(kind: str) -> None:
    parameter = {"group_norm": "num_groups", "channel_shuffle": "groups"}[kind]
    cases = ((made(kind, {parameter: groups}), (n, 2, 2)) for n, groups in product(range(1, 13), range(1, 14)))
    assert disagreements(cases) == []


def test_pixel_shuffle_takes_the_channels_that_torch_takes() -> None:
    cases = ((made("pixel_shuffle", {"upscale_factor": r}), (n, 2, 3)) for n, r in product(range(1, 40), range(1, 7)))
    assert disagreements(cases) == []


@pytest.mark.parametrize("track_running_stats", [False, True])
def test_instance_norm_takes_the_maps_that_torch_trains_on(track_running_stats: bool) -> None:
    layer = made("instance_norm2d", {"track_running_stats": track_running_stats})
    cases = ((layer, (2, *sizes)) for sizes in product(range(1, 4), repeat=2))
    assert disagreements(cases) == []


def test_a_learned_slope_is_one_or_one_per_channel_as_in_torch() -> None:
    shapes: list[Shape] = [(3,), (4,), (3, 2), (2, 3, 3), (1, 2, 2)]
    cases = ((made("prelu", {"num_parameters": count}), shape) for count, shape in product(range(1, 6), shapes))
    assert disagreements(cases) == []


def test_a_glu_halves_even_channels_as_torch_does() -> None:
    shapes: list[Shape] = [shape for n in range(1, 6) for shape in ((n,), (n, 3), (n, 2, 3))]
    cases = ((made("glu", {"dim": dim}), shape) for shape in shapes for dim in (1, -len(shape)))
    assert disagreements(cases) == []


@pytest.mark.parametrize(
    ("dim", "shape", "what"),
    [(-1, (4, 2, 6), "columns"), (2, (4, 2, 6), "rows"), (-1, (4, 6), "positions")],
)
def test_a_glu_halves_nothing_but_channels(dim: int, shape: Shape, what: str) -> None:
    # Torch would halve the map.
    with pytest.raises(MisfitError, match=rf"would halve the {what} of") as caught:
        made("glu", {"dim": dim}).check_input(shape)
    assert caught.value.misfit.hint == "write `dim: 1`, the channels"


def test_local_response_norm_takes_every_size() -> None:
    shapes: list[Shape] = [(3, 4), (3, 2, 4)]
    cases = ((made("local_response_norm", {"size": size}), shape) for size, shape in product(range(1, 9), shapes))
    assert disagreements(cases, both_outcomes=False) == []


def test_unflatten_takes_the_sizes_that_torch_takes() -> None:
    shapes: list[Shape] = [(12,), (6, 4), (3, 12)]
    cases = (
        (made("unflatten", {"dim": dim, "unflattened_size": sizes}), shape)
        for shape, dim in product(shapes, range(-4, 4))
        for sizes in ([3, 4], [2, 2], [2, 3, 2], [1, 12], [6, 1])
        # Torch knows no limit to the dimensions.
        if is_not_batch(dim, shape) and len(shape) + len(sizes) <= 4
    )
    assert disagreements(cases) == []


def test_unflatten_makes_no_more_than_a_map() -> None:
    layer = made("unflatten", {"dim": 1, "unflattened_size": [1, 2, 3]})
    with pytest.raises(MisfitError, match="would become an input of 4 dimensions"):
        layer.check_input((6, 4))


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
    layers = [made(kind, {"dim": dim}) for kind in ("softmax", "glu")]
    layers += [made("flatten", {"start_dim": dim}), made("flatten", {"end_dim": dim})]
    layers += [made("unflatten", {"dim": dim, "unflattened_size": [2, 3]})]
    for layer in layers:
        with pytest.raises(MisfitError, match=r"is the batch, and images must not be mixed"):
            layer.check_input(shape)


@pytest.mark.parametrize(
    ("kind", "arguments", "shape"),
    [
        ("batch_norm1d", {}, (3,)),
        ("batch_norm1d", {}, (3, 1)),
        ("batch_norm1d", {}, (3, 2)),
        ("batch_norm1d", {}, (1, 5)),
        ("batch_norm2d", {}, (3, 1, 1)),
        ("batch_norm2d", {}, (3, 1, 2)),
        ("batch_norm2d", {}, (1, 1, 1)),
        ("group_norm", {"num_groups": 3}, (3,)),
        ("group_norm", {"num_groups": 3}, (6,)),
        ("group_norm", {"num_groups": 2}, (2, 1, 1)),
        ("group_norm", {"num_groups": 2}, (2, 1, 2)),
        ("group_norm", {"num_groups": 1}, (2, 1, 1)),
    ],
)
def test_a_norm_can_train_on_one_image_where_we_say_so(kind: str, arguments: dict[str, Any], shape: Shape) -> None:
    layer = made(kind, arguments)
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
