"""Layers that don't go well one after another."""

from collections.abc import Iterator

from builder.layers.conv import Convolution
from builder.layers.normalization import BatchNorm
from builder.lints.base import Finding, Lint, Network
from builder.lints.families import (
    ACTIVATIONS,
    AFFINE,
    DROPOUTS,
    KEEPING_LINEAR,
    NEVER_NEGATIVE,
    PASSING,
    RESHAPING,
    SOFTMAXES,
    TWO_SIDED,
    is_depthwise,
    is_pointwise,
)
from builder.lints.flow import Kinds, Node


class BiasBeforeBatchNorm(Lint, code="bias-before-batch-norm", severity="info"):
    """Batch norm subtracts from each channel its mean, and with it whatever a bias has added; its own offset comes
    after. The bias gets a gradient of zero and stays as it was: parameters that do nothing.

    Effect: none on accuracy (94.1% with and without); one parameter per channel too many, and the time to update it.

    Source: Ioffe & Szegedy 2015, arXiv:1502.03167, section 3.2 ("the bias b can be ignored");
    `python benchmarks/lint_effects.py`.
    """

    def findings(self, network: Network) -> Iterator[Finding]:
        for node in network.flow.of(AFFINE):
            layer = node.layer
            if not isinstance(layer, AFFINE) or not layer.bias or not _is_over_channels(node):
                continue
            targets = node.targets(RESHAPING)
            if targets and all(target.is_one((BatchNorm,)) for target in targets):
                channels = node.row.out_shape[0]
                message = f"`{targets[0].name}` subtracts the {channels:,} biases again that `{node.name}` adds"
                yield Finding.at(node, message, "write `bias: false`", "bias")


def _is_over_channels(node: Node) -> bool:
    """Whether the bias is one for each channel; that of a linear layer over rows is one for each position."""
    return isinstance(node.layer, Convolution) or len(node.row.out_shape) == 1


class TwoActivations(Lint, code="two-activations", severity="info"):
    """An activation after another one bends what is bent already; after a ReLU, a second one does nothing. Mostly a
    line was left over when layers were moved.

    Effect: none for a ReLU after a ReLU. Where a sigmoid follows a ReLU it is large, and has a lint of its own.

    Source: max(max(x, 0), 0) = max(x, 0); `python benchmarks/lint_effects.py`.
    """

    def findings(self, network: Network) -> Iterator[Finding]:
        for node, source in _activated_twice(network, ACTIVATIONS):
            if not _is_half_used(node, source):
                message = f"`{node.name}` is an activation of what the activation `{source.name}` gives"
                yield Finding.at(node, message, "keep one of the two")


class SigmoidAfterRelu(Lint, code="sigmoid-after-relu", severity="warning"):
    """A sigmoid or a tanh has its slope around zero, and wants inputs of both signs. Behind a ReLU, or another
    activation that gives nothing negative, half of its range is never used: a sigmoid gives 0.5 to 1, nearly constant,
    and gradients vanish.

    Effect: a small network on the embedded sample reaches 42.1% with a sigmoid after its first ReLU (77.4% with the
    sigmoid alone), 85.9% with a tanh there, and 91.1% with the ReLU alone.

    Source: `python benchmarks/lint_effects.py`; LeCun et al. 1998, Efficient BackProp, section 4.4.
    """

    def findings(self, network: Network) -> Iterator[Finding]:
        for node, source in _activated_twice(network, TWO_SIDED):
            if _is_half_used(node, source):
                message = f"`{node.name}` is given nothing negative, by `{source.name}`, and uses half of its range"
                yield Finding.at(node, message, f"keep one of the two, such as `{source.row.kind}`")


def _activated_twice(network: Network, activations: Kinds) -> Iterator[tuple[Node, Node]]:
    """Those of the activations that have another one before them, and that."""
    for node in network.flow.of(activations):
        sources = node.sources(PASSING)
        if sources and all(source.is_one(ACTIVATIONS) for source in sources):
            yield node, sources[0]


def _is_half_used(node: Node, source: Node) -> bool:
    return node.is_one(TWO_SIDED) and source.is_one(NEVER_NEGATIVE)


class MissingActivation(Lint, code="missing-activation", severity="warning"):
    """Without an activation between them, two linear layers are one: a weighted sum of weighted sums. The same holds
    for convolutions, and neither batch norm nor an average changes it. The network is as deep as it looks only where
    something bends between its layers.

    Nothing is said where published networks leave it out on purpose: beside a depthwise or grouped convolution
    (Xception, MobileNetV2, ShuffleNet, ConvNeXt), after a 1x1 convolution that narrows (the linear bottleneck of
    Sandler et al. 2018, arXiv:1801.04381), and where branches meet between the two.

    Effect: two linear layers on the embedded sample reach 90.4% without an activation between them, and 94.0% with a
    ReLU.

    Source: `python benchmarks/lint_effects.py`; W2 (W1 x + b1) + b2 = (W2 W1) x + (W2 b1 + b2).
    """

    def findings(self, network: Network) -> Iterator[Finding]:
        for node in network.flow.of(AFFINE):
            if is_depthwise(node.layer):
                continue
            for source in node.sources(KEEPING_LINEAR):
                if source.is_one(AFFINE) and not is_depthwise(source.layer) and not _is_bottleneck(source):
                    message = (
                        f"no activation stands between `{source.name}` and `{node.name}`: together they are linear"
                    )
                    yield Finding.at(node, message, f"add an activation, such as `relu`, after `{source.name}`")


def _is_bottleneck(node: Node) -> bool:
    return is_pointwise(node.layer) and node.row.out_shape[0] < node.row.in_shape[0]


class DropoutBeforeLastLayer(Lint, code="dropout-before-last-layer", severity="info"):
    """Dropout right before the layer that gives the scores is what AlexNet began and many networks keep. With batch
    norm and augmentation it often buys nothing: small networks that reach 99.4% on MNIST with few parameters use almost
    none.

    Effect: it depends on how much the network overfits. On the embedded sample 92.2% with p 0.5 there, and 90.9% with
    it one convolution earlier.

    Source: `python benchmarks/lint_effects.py`; Garbin et al. 2020, doi:10.1007/s11042-019-08453-9.
    """

    def findings(self, network: Network) -> Iterator[Finding]:
        tail = [*network.flow.tail(AFFINE)]
        if not tail or not tail[-1].is_one(AFFINE):
            return
        for node in tail[-1].before:
            while node.is_one(RESHAPING) and len(node.before) == 1:
                (node,) = node.before
            if node.is_one(DROPOUTS):
                message = f"`{node.name}` stands right before `{tail[-1].name}`, which gives the scores"
                yield Finding.at(node, message, "compare a run without it")


class DropoutBeforeBatchNorm(Lint, code="dropout-before-batch-norm", severity="info"):
    """Dropout changes the variance of what it gives between training and testing, and batch norm keeps in testing the
    variance that it saw in training: every channel is scaled wrongly (variance shift).

    Effect: in the source, most networks with dropout before batch norm do worse than without. A small network on the
    embedded sample shows nothing of it: 93.9% with p 0.5 there, 94.1% without dropout.

    Source: Li et al. 2019, arXiv:1801.05134; `python benchmarks/lint_effects.py`.
    """

    def findings(self, network: Network) -> Iterator[Finding]:
        through = (*RESHAPING, *ACTIVATIONS, *SOFTMAXES)
        for node in network.flow.of((BatchNorm,)):
            for source in node.sources(through):
                if source.is_one(DROPOUTS):
                    message = f"`{node.name}` learns the variance of what `{source.name}` gives in training only"
                    yield Finding.at(source, message, "move the dropout behind the last batch norm")
