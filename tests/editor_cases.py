"""Layers with a mistake, and the messages that an editor shows; specs without one, for which it shows none."""

from builder.kinds import bare_kinds
from builder.layers import LAYERS

HEAD = "input: [1, 28, 28]\nlayers:\n"
BARE_KINDS = bare_kinds(LAYERS)

OR_COMPUTED = ", or a computed value: `$name` or `$(expression)`"
BARE = ", ".join(f'"{kind}"' for kind in BARE_KINDS)
MISTAKES = {
    "a kind, mistyped as a key": (
        "  - conv3d: {out_channels: 8, kernel_size: 3}\n",
        [("conv3d", "Property conv3d is not allowed.")],
    ),
    "a kind, mistyped as a word": ("  - rleu\n", [("rleu", f"Value is not accepted. Valid values: {BARE}.")]),
    "a key, mistyped": (
        "  - conv2d: {out_channels: 8, kernel_size: 3, strid: 2}\n",
        [("strid", "Property strid is not allowed.")],
    ),
    "a required key, missing": (
        "  - conv2d: {out_channels: 8}\n",
        [("conv2d", 'Missing property "kernel_size".')],
    ),
    "a text for a number": (
        "  - conv2d: {out_channels: eight, kernel_size: 3}\n",
        [("eight", f"write a whole number from 1 to 1,000,000{OR_COMPUTED}")],
    ),
    "a fraction for a whole number": (
        "  - conv2d: {out_channels: 8.5, kernel_size: 3}\n",
        [("8.5", f"write a whole number from 1 to 1,000,000{OR_COMPUTED}")],
    ),
    "a text for a flag": (
        "  - linear: {out_features: 8, bias: maybe}\n",
        [("maybe", f"write `true` or `false`{OR_COMPUTED}")],
    ),
    "a word that is not among the words": (
        "  - conv2d: {out_channels: 8, kernel_size: 3, padding: sam}\n",
        [
            (
                "sam",
                "write `same`, `valid`, a whole number from 0 to 10,000 or a list of 2 whole numbers" + OR_COMPUTED,
            )
        ],
    ),
    "below its bounds": (
        "  - conv2d: {out_channels: 0, kernel_size: 3}\n",
        [("0", "Value is below the minimum of 1.")],
    ),
    "above its bounds": ("  - dropout: {p: 1.5}\n", [("1.5", "Value is above the maximum of 1.")]),
    "a list of one for a size": (
        "  - max_pool2d: {kernel_size: [3]}\n",
        [("[3]", "Array has too few items. Expected 2 or more.")],
    ),
    "two kinds in one item": (
        "  - {relu: {}, tanh: {}}\n",
        [("{relu: {}, tanh: {}}", "Object has more properties than limit of 1.")],
    ),
    "a name that is none": (
        "  - relu: {name: a-b}\n",
        [
            (
                "a-b",
                "a name is 1 to 64 letters, digits and underscores, begins with no underscore, and is not all digits",
            )
        ],
    ),
}

RIGHT = {
    "computed values": """\
variables: {width: 8, wide: true, sizes: [3, 5]}
input: [1, $width, $(width * 2)]
layers:
  - conv2d:
      out_channels: $width
      kernel_size: [$(width // 2 - 1), 3]
      stride: $(1)
      padding: $same
      bias: $wide
      padding_mode: $mode
      when: $(width > 4 and wide)
  - dropout: {p: $(0.1 * width / 8)}
  - repeat: {times: $width, layers: [relu]}
  - repeat: {for: {size: $sizes}, layers: [{max_pool2d: {kernel_size: $size}}]}
""",
    "blocks": """\
input: [1, 28, 28]
blocks:
  Norm: [batch_norm2d, relu]
  ConvNorm:
    parameters: {out_channels, kernel_size: 1, activation: relu}
    variables: {half: $(out_channels // 2)}
    layers:
      - conv2d: {out_channels: $out_channels, kernel_size: $kernel_size}
      - Norm
      - $activation
layers:
  - ConvNorm: {out_channels: 8}
  - ConvNorm: {out_channels: $(2 * in_channels), kernel_size: 3, activation: [tanh, dropout: {p: 0.1}], name: second}
  - Norm
  - Norm:
  - residual: [Norm, {ConvNorm: {out_channels: 16, when: false}}]
""",
    "kinds with nothing after their colon": f"{HEAD}  - relu:\n  - flatten:\n",
    "a spec that extends another": "extends: other.yaml\nvariables: {width: 3}\ntraining: {epochs: 3}\n",
    "a base that holds only blocks": "blocks:\n  Block: [relu]\n",
}
