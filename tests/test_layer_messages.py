"""What the layer kinds say about parameters and inputs that they refuse: every message and hint, word for word."""

from collections.abc import Mapping
from typing import Any

import pytest

from builder.kinds import MisfitError
from builder.layers import LAYERS, Shape

PARAMETERS: list[tuple[str, Mapping[str, Any], str, str]] = [
    (
        "conv_transpose2d",
        {"out_channels": 4, "kernel_size": 3, "groups": 3},
        "`out_channels` (=4) is not divisible by `groups` (=3)",
        "write a divisor of 4: 1, 2 or 4",
    ),
    (
        "conv_transpose2d",
        {"out_channels": 4, "kernel_size": 3, "stride": 2, "output_padding": 2},
        "`output_padding` 2 must be smaller than the stride (2) or the dilation (1)",
        "write an output_padding up to 1",
    ),
    (
        "conv_transpose2d",
        {"out_channels": 4, "kernel_size": 3, "stride": [2, 1], "dilation": [1, 4], "output_padding": [1, 4]},
        "`output_padding` [1, 4] must be smaller than the stride ([2, 1]) or the dilation ([1, 4])",
        "write an output_padding up to [1, 3]",
    ),
    (
        "conv1d",
        {"out_channels": 4, "kernel_size": 5, "stride": 2, "padding": "same"},
        "`padding: same` keeps the size, which stride 2 can't",
        "write stride 1, or padding 2",
    ),
    (
        "max_pool1d",
        {"kernel_size": 2, "padding": 2},
        "padding 2 is more than half of kernel_size 2",
        "write a padding up to 1",
    ),
    (
        "upsample",
        {},
        "`upsample` has neither `size` nor `scale_factor`",
        "add one of them, such as `scale_factor: 2`",
    ),
    ("upsample", {"size": 8, "scale_factor": 2}, "`upsample` has both `size` and `scale_factor`", "keep one of them"),
    (
        "upsample",
        {"size": 8, "align_corners": False},
        "`align_corners` means nothing to `mode: nearest`",
        "remove it, or write `mode: bilinear`",
    ),
    ("stochastic_depth", {"p": 1}, "`p` (=1) drops every value", "write less, such as 0.5"),
]

INPUTS: list[tuple[str, Mapping[str, Any], Shape, str, str]] = [
    (
        "conv_transpose2d",
        {"out_channels": 4, "kernel_size": 3, "groups": 4},
        (6, 5, 5),
        "the 6 input channels are not divisible by `groups` (=4)",
        "write a divisor of 4 and 6: 1 or 2",
    ),
    (
        "conv_transpose2d",
        {"out_channels": 1, "kernel_size": [3, 2], "padding": [0, 4], "stride": 2},
        (1, 3, 3),
        "the width of the output would be -2: (3-1)*2-2*4+1*(2-1)+0+1 = -2",
        "write a padding up to 2",
    ),
    (
        "conv_transpose2d",
        {"out_channels": 1, "kernel_size": 1, "stride": 10_000},
        (1, 3, 1),
        "the height of the output would be 20,001: (3-1)*10000-2*0+1*(1-1)+0+1 = 20001",
        "at most 10,000 are possible",
    ),
    (
        "conv1d",
        {"out_channels": 1, "kernel_size": 3, "padding": 4, "padding_mode": "reflect"},
        (1, 4),
        "`padding_mode: reflect` needs a padding smaller than the row's length of 4, and it is 4",
        "write a padding up to 3",
    ),
    (
        "upsample",
        {"scale_factor": [1, 0.2]},
        (1, 4, 4),
        "the width of the output would be 0: floor(4 * 0.2)",
        "write a scale_factor with which it is from 1 to 10,000",
    ),
    (
        "upsample",
        {"scale_factor": 5000},
        (1, 3, 1),
        "the height of the output would be 15,000: floor(3 * 5000.0)",
        "write a scale_factor with which it is from 1 to 10,000",
    ),
    (
        "reflection_pad2d",
        {"padding": [0, 0, 1, 3]},
        (1, 3, 9),
        "a reflection is smaller than the map's height of 3, and `padding` is 3",
        "write a padding up to 2",
    ),
    (
        "group_norm",
        {"num_groups": 4},
        (6, 2, 2),
        "the 6 input channels are not divisible by `num_groups` (=4)",
        "write a divisor of 6: 1, 2, 3 or 6",
    ),
    (
        "instance_norm2d",
        {},
        (6, 1, 1),
        "`instance_norm2d` needs 2 values per channel of an image, and its input is a map of 1x1",
        "move `instance_norm2d` to where the map is larger",
    ),
    (
        "channel_shuffle",
        {"groups": 4},
        (6, 2, 2),
        "the 6 input channels are not divisible by `groups` (=4)",
        "write a divisor of 6: 1, 2, 3 or 6",
    ),
    (
        "pixel_shuffle",
        {"upscale_factor": 3},
        (12, 2, 2),
        "the 12 input channels are not divisible by 9, the square of `upscale_factor`",
        "let a multiple of 9 channels arrive",
    ),
    (
        "prelu",
        {"num_parameters": 3},
        (6, 2, 2),
        "`num_parameters` (=3) is neither 1 nor the 6 input channels",
        "write 1 or 6",
    ),
    (
        "prelu",
        {"num_parameters": 3},
        (6,),
        "`num_parameters` (=3) is neither 1 nor the 6 input features",
        "write 1 or 6",
    ),
    ("prelu", {"num_parameters": 3}, (1, 2), "`num_parameters` (=3) is not 1, the number of input channels", "write 1"),
    (
        "glu",
        {},
        (6, 2, 4),
        "`dim` (=-1) would halve the columns of a map of 6x2x4",
        "write `dim: 1`, the channels",
    ),
    ("glu", {}, (5,), "the 5 input features can't be halved", "let an even number of features arrive"),
    ("glu", {"dim": 1}, (5, 2, 2), "the 5 input channels can't be halved", "let an even number of channels arrive"),
    (
        "unflatten",
        {"dim": 1, "unflattened_size": [2, 3, 3]},
        (16,),
        "`unflattened_size` makes 2 * 3 * 3 = 18 of a dimension of 16",
        "write sizes whose product is 16",
    ),
    (
        "unflatten",
        {"dim": 1, "unflattened_size": [2, 2, 2]},
        (8, 5),
        "rows of features (8x5) would become an input of 4 dimensions",
        "write 2 sizes: a map has 3 dimensions",
    ),
]


@pytest.mark.parametrize(("kind", "arguments", "message", "hint"), PARAMETERS)
def test_parameters_that_clash_are_told_with_what_would_be_right(
    kind: str, arguments: Mapping[str, Any], message: str, hint: str
) -> None:
    (misfit,) = LAYERS[kind].read(arguments).rules()
    assert (misfit.message, misfit.hint) == (message, hint)


@pytest.mark.parametrize(("kind", "arguments", "shape", "message", "hint"), INPUTS)
def test_an_input_that_is_refused_is_told_with_what_would_be_right(
    kind: str, arguments: Mapping[str, Any], shape: Shape, message: str, hint: str
) -> None:
    layer = LAYERS[kind].read(arguments)
    with pytest.raises(MisfitError) as caught:
        layer.check_input(shape)
    assert (caught.value.misfit.message, caught.value.misfit.hint) == (message, hint)
