"""The contract table: every layer kind, with parameters to try it with, and what to try them on.

A new kind needs one row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from spec_generator import Item

from builder.layers import Shape

Arguments = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """A kind, the parameters to try it with, and the images (and layers before it) to try them on.

    Images are large enough for at least one unit's field to lie inside, so that it can be compared exactly.
    """

    kind: str
    arguments: Sequence[Arguments]
    images: Sequence[Shape]
    before: tuple[Item, ...] = ()


MAPS: list[Shape] = [(4, 23, 19), (6, 16, 31)]
FLATTENED: tuple[Item, ...] = ("flatten",)
ROWS_OF_FEATURES: tuple[Item, ...] = ({"flatten": {"start_dim": 2}},)
ROWS_OF_PIXELS: tuple[Item, ...] = ({"flatten": {"end_dim": 2}},)  # (channels * height, width)

# Kinds that take any shape, and keep it.
ANY_SHAPE: dict[str, list[Arguments]] = {
    "relu": [{}],
    "leaky_relu": [{}, {"negative_slope": 0.3}, {"negative_slope": -1}],
    "gelu": [{}, {"approximate": "tanh"}],
    "silu": [{}],
    "tanh": [{}],
    "sigmoid": [{}],
    "identity": [{}],
    "relu6": [{}],
    "elu": [{}, {"alpha": 0.5}],
    "selu": [{}],
    "celu": [{}, {"alpha": 0.5}],
    "prelu": [{}, {"num_parameters": 1, "init": -0.5}],
    "softplus": [{}, {"beta": 2, "threshold": 1}],
    "hardswish": [{}],
    "hardsigmoid": [{}],
    "mish": [{}],
    "layer_norm": [{}, {"eps": 0.001, "elementwise_affine": False}, {"bias": False}],
    "dropout": [{}, {"p": 0}, {"p": 0.25}],
    "stochastic_depth": [{"p": 0}, {"p": 0.25, "mode": "batch"}],
}

CONTRACT = [
    Row(
        "conv2d",
        [
            {"out_channels": 5, "kernel_size": 3},
            {"out_channels": 1, "kernel_size": 1},
            {"out_channels": 4, "kernel_size": [5, 2], "stride": [2, 3], "padding": [1, 0]},
            {"out_channels": 3, "kernel_size": [1, 6], "padding": [0, 2], "bias": False},
            {"out_channels": 2, "kernel_size": 2, "stride": 5},
            {"out_channels": 3, "kernel_size": 4, "stride": 3, "padding": 3},
            {"out_channels": 2, "kernel_size": [2, 3], "stride": 2, "padding": 2, "dilation": [3, 2]},
            {"out_channels": 6, "kernel_size": 3, "groups": 2, "padding": 1},
            {"out_channels": 6, "kernel_size": [3, 2], "groups": 2, "dilation": 2, "bias": False},
            {"out_channels": 3, "kernel_size": 3, "padding": "same"},
            {"out_channels": 3, "kernel_size": [4, 2], "padding": "same"},
            {"out_channels": 3, "kernel_size": [2, 4], "padding": "same", "dilation": [3, 1]},
            {"out_channels": 2, "kernel_size": [4, 3], "padding": "same", "padding_mode": "reflect"},
            {"out_channels": 2, "kernel_size": [3, 4], "padding": "valid", "stride": 2},
            {"out_channels": 2, "kernel_size": 3, "padding": [2, 1], "padding_mode": "reflect"},
            {"out_channels": 2, "kernel_size": 3, "padding": [1, 2], "padding_mode": "replicate", "stride": 2},
            {"out_channels": 2, "kernel_size": [3, 5], "padding": [1, 2], "padding_mode": "circular"},
        ],
        MAPS,
    ),
    # Depthwise, with a multiplier.
    Row("conv2d", [{"out_channels": 8, "kernel_size": 3, "groups": 4, "stride": 2}], [(4, 11, 8)]),
    Row(
        "conv_transpose2d",
        [
            {"out_channels": 3, "kernel_size": 2, "stride": 2},
            {"out_channels": 2, "kernel_size": [3, 5], "padding": [0, 2], "bias": False},
            {"out_channels": 2, "kernel_size": 3, "stride": 2, "padding": 1, "output_padding": 1},
            {"out_channels": 4, "kernel_size": [3, 4], "stride": [2, 3], "padding": [1, 2], "output_padding": [0, 2]},
            {"out_channels": 6, "kernel_size": 4, "stride": 2, "padding": 1, "groups": 2},
            {"out_channels": 3, "kernel_size": 1},
            # Output units that see nothing: strides beyond the kernel, or with a factor in common with the dilation.
            {"out_channels": 1, "kernel_size": [1, 2], "stride": 3},
            {"out_channels": 2, "kernel_size": 3, "stride": 2, "dilation": 2, "output_padding": 1},
            {"out_channels": 2, "kernel_size": [2, 4], "stride": [3, 2], "dilation": [2, 3], "output_padding": [1, 2]},
        ],
        MAPS,
    ),
    *(
        Row(
            "conv1d",
            [
                {"out_channels": 5, "kernel_size": 3},
                {"out_channels": 2, "kernel_size": 2, "stride": 3, "padding": 1, "bias": False},
                {"out_channels": 4, "kernel_size": 3, "dilation": 2, "groups": 2},
                {"out_channels": 3, "kernel_size": 4, "padding": "same"},
                {"out_channels": 3, "kernel_size": 3, "padding": "valid"},
                {"out_channels": 3, "kernel_size": 3, "padding": 2, "padding_mode": "reflect"},
            ],
            [image],
            before,
        )
        for image, before in (
            ((4, 1, 23), ROWS_OF_FEATURES),
            ((2, 19, 1), ROWS_OF_FEATURES),
        )
    ),
    *(
        Row(kind, [{"kernel_size": 2}, *arguments], [image], before)
        for kind, arguments in (
            (
                "max_pool1d",
                [
                    {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True},
                    {"kernel_size": 3, "stride": 1, "dilation": 2},
                ],
            ),
            (
                "avg_pool1d",
                [{"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True, "count_include_pad": False}],
            ),
        )
        for image, before in (
            ((4, 1, 23), ROWS_OF_FEATURES),
            ((2, 18, 1), ROWS_OF_FEATURES),
        )
    ),
    *(
        Row("adaptive_avg_pool1d", [{"output_size": 1}, {"output_size": 4}, {"output_size": 30}], [image], before)
        for image, before in (((4, 1, 23), ROWS_OF_FEATURES), ((2, 18, 1), ROWS_OF_FEATURES))
    ),
    Row(
        "max_pool2d",
        [
            {"kernel_size": 2},
            {"kernel_size": [3, 2], "stride": [2, 1]},
            {"kernel_size": 3, "stride": 2, "padding": 1},
            {"kernel_size": [2, 5], "padding": [1, 2], "stride": 3},
            {"kernel_size": 3, "stride": 2, "ceil_mode": True},
            {"kernel_size": 2, "stride": 3, "padding": 1, "ceil_mode": True},
            {"kernel_size": [3, 2], "dilation": [2, 3], "stride": 1},
            {"kernel_size": 3, "dilation": 2, "padding": 1, "stride": 4, "ceil_mode": True},
        ],
        MAPS,
    ),
    Row(
        "avg_pool2d",
        [
            {"kernel_size": 2},
            {"kernel_size": [2, 3], "stride": [1, 2]},
            {"kernel_size": 3, "stride": 2, "padding": 1, "count_include_pad": False},
            {"kernel_size": [4, 3], "padding": [2, 1], "stride": 3, "ceil_mode": True},
            {"kernel_size": 2, "stride": 3, "padding": 1, "ceil_mode": True, "count_include_pad": False},
            {"kernel_size": 3, "stride": 1, "divisor_override": 2},
        ],
        MAPS,
    ),
    *(
        Row(
            kind,
            [
                {"output_size": 1},
                {"output_size": [4, 5]},
                {"output_size": [1, 6]},
                {"output_size": [None, 7]},
                {"output_size": [3, None]},
                {"output_size": None},
                {"output_size": [20, 40]},
                {"output_size": [8, 16]},
            ],
            [*MAPS, (2, 16, 32)],
        )
        for kind in ("adaptive_avg_pool2d", "adaptive_max_pool2d")
    ),
    Row(
        "upsample",
        [
            {"scale_factor": 2},
            {"scale_factor": [3, 1.5]},
            {"scale_factor": [0.5, 0.75]},
            {"size": [30, 50]},
            {"size": 7, "mode": "nearest-exact"},
            {"scale_factor": [1.5, 2], "mode": "nearest-exact"},
            {"scale_factor": 2, "mode": "bilinear"},
            {"scale_factor": [2.5, 0.5], "mode": "bilinear", "align_corners": False},
            {"size": [40, 24], "mode": "bilinear", "align_corners": True},
            {"size": [46, 32], "mode": "bicubic"},
            {"scale_factor": 3, "mode": "bicubic", "align_corners": True},
        ],
        MAPS,
    ),
    Row("pixel_shuffle", [{"upscale_factor": 2}, {"upscale_factor": 1}], [(4, 9, 8), (12, 5, 1)]),
    Row("pixel_shuffle", [{"upscale_factor": 3}], [(18, 4, 5)]),
    Row("channel_shuffle", [{"groups": 1}, {"groups": 2}, {"groups": 6}], [(6, 4, 5)]),
    Row("zero_pad2d", [{"padding": 2}, {"padding": 0}, {"padding": [0, 4, 2, 1]}], [(2, 5, 6), (1, 1, 1)]),
    Row("replication_pad2d", [{"padding": 2}, {"padding": [0, 4, 2, 1]}], [(2, 5, 6), (1, 1, 1)]),
    Row("reflection_pad2d", [{"padding": 2}, {"padding": [0, 4, 2, 1]}], [(2, 5, 6), (1, 3, 5)]),
    *(
        Row(
            kind,
            [
                {},
                {"momentum": None},
                {"affine": False},
                {"track_running_stats": False},
                {"eps": 0.001, "momentum": 0.25, "affine": False, "track_running_stats": False},
                {"momentum": 0},
            ],
            [(3, 5, 7), (1, 6, 4)],
            before,
        )
        for kind, before in (
            ("batch_norm2d", ()),
            ("batch_norm1d", FLATTENED),
            ("batch_norm1d", ROWS_OF_FEATURES),
        )
    ),
    Row(
        "instance_norm2d",
        [
            {},
            {"affine": True},
            {"eps": 0.001, "momentum": 0.25, "track_running_stats": True},
            {"affine": True, "track_running_stats": True, "momentum": 0},
        ],
        [(3, 5, 7), (1, 1, 2)],
    ),
    *(
        Row(
            "group_norm",
            [{"num_groups": 1}, {"num_groups": 3}, {"num_groups": 6, "eps": 0.001, "affine": False}],
            images,
            before,
        )
        for images, before in (([(6, 4, 5), (6, 1, 1)], ()), ([(6, 4, 5)], FLATTENED), ([(6, 4, 5)], ROWS_OF_FEATURES))
    ),
    *(
        Row(
            "local_response_norm",
            [{"size": 5}, {"size": 2, "alpha": 0.001, "beta": 0.5, "k": 2}, {"size": 40}],
            [(6, 4, 5)],
            before,
        )
        for before in ((), ROWS_OF_FEATURES)
    ),
    *(
        Row(kind, arguments, [(2, 5, 6)], before)
        for kind, arguments in ANY_SHAPE.items()
        for before in ((), FLATTENED, ROWS_OF_FEATURES)
    ),
    Row("prelu", [{"num_parameters": 3, "init": 0.1}], [(3, 4, 5)]),
    Row("prelu", [{"num_parameters": 3}], [(3, 4, 5)], ROWS_OF_FEATURES),
    Row("prelu", [{"num_parameters": 60}], [(3, 4, 5)], FLATTENED),
    *(
        Row("glu", arguments, [(4, 5, 6)], before)
        for arguments, before in (
            ([{"dim": 1}, {"dim": -3}], ()),
            ([{}, {"dim": 1}], FLATTENED),
            ([{"dim": 1}, {"dim": -2}], ROWS_OF_FEATURES),
        )
    ),
    Row("dropout2d", [{}, {"p": 0}, {"p": 0.9}], [(2, 5, 6)]),
    *(
        Row(kind, arguments, [(3, 6, 5)], before)
        for kind in ("softmax", "log_softmax")
        for arguments, before in (
            ([{}, {"dim": 2}, {"dim": 3}, {"dim": -1}, {"dim": -2}, {"dim": -3}], ()),
            ([{}, {"dim": -1}], FLATTENED),
            ([{}, {"dim": 2}, {"dim": -1}, {"dim": -2}], ROWS_OF_FEATURES),
            ([{"dim": 1}, {"dim": 2}], ({"flatten": {"end_dim": 2}},)),
            # The fields that are joined or mixed are those of the layers before, and may exceed the image.
            ([{"dim": 2}], ({"conv2d": {"out_channels": 2, "kernel_size": 2, "stride": 2}},)),
        )
    ),
    Row(
        "flatten",
        [
            {},
            {"start_dim": 1, "end_dim": 2},
            {"start_dim": 2},
            {"start_dim": 2, "end_dim": 2},
            {"start_dim": -3, "end_dim": -2},
            {"start_dim": -2, "end_dim": 3},
            {"end_dim": -3},
        ],
        [(3, 4, 5)],
    ),
    Row("flatten", [{}, {"start_dim": -1}, {"start_dim": 2, "end_dim": -1}], [(3, 4, 5)], ROWS_OF_FEATURES),
    Row("flatten", [{}], [(3, 4, 5)], FLATTENED),
    Row(
        "unflatten",
        [{"dim": 1, "unflattened_size": [3, 4, 5]}, {"dim": -1, "unflattened_size": [3, 20]}],
        [(3, 4, 5)],
        FLATTENED,
    ),
    Row("unflatten", [{"dim": 2, "unflattened_size": [4, 5]}], [(3, 4, 5)], ROWS_OF_FEATURES),
    Row("unflatten", [{"dim": 1, "unflattened_size": [3, 4]}], [(3, 4, 5)], ROWS_OF_PIXELS),
    # Behind a linear layer every unit sees all, in whatever shape.
    Row(
        "unflatten",
        [{"dim": 1, "unflattened_size": [2, 4, 3]}, {"dim": -1, "unflattened_size": [4, 6]}],
        [(3, 4, 5)],
        ("flatten", {"linear": {"out_features": 24}}),
    ),
    *(
        Row("linear", [{"out_features": 7}, {"out_features": 1, "bias": False}], [(3, 4, 5)], before)
        for before in (FLATTENED, ROWS_OF_FEATURES, ({"flatten": {"end_dim": 2}},))
    ),
]
