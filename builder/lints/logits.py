"""The end of a network: what turns the scores of the classes (logits) into a loss."""

from collections.abc import Iterator

from builder.layers.activation import LogSoftmax, Softmax
from builder.layers.regularization import StochasticDepth
from builder.lints.base import Finding, Lint, Network
from builder.lints.families import AFFINE, BOUNDED, CUTTING, DROPOUTS, RESHAPING, SOFTMAXES, TWO_SIDED
from builder.lints.flow import Node
from builder.recipe.losses import FROM_SCORES, CrossEntropy, Loss, MseLoss, NllLoss

AFTER_LOGITS = (*SOFTMAXES, *RESHAPING, *DROPOUTS, StochasticDepth)


class ActivationOnLogits(Lint, code="activation-on-logits", severity="warning"):
    """The last layer gives one score per class, and softmax compares them; any number may be right. A ReLU after it
    cuts every negative score to zero, where it has no gradient: a class whose scores are negative for all images never
    learns again (a dead class). Sigmoid and tanh leave gradients, but bound how sure the network can get: ten scores
    between -1 and 1 give the right class a probability of 45% at most.

    Effect: the network of `specs/notebook.yaml` reaches 29% with a ReLU on its logits (six of ten classes are dead) and
    98.3% without, in one epoch on MNIST, everything else equal. A small network on the embedded sample: 70.0% instead
    of 91.1%.

    Source: `python runner.py specs/notebook.yaml`, and the same without that layer;
    `python benchmarks/lint_effects.py`; dying ReLUs: Lu et al. 2019, arXiv:1903.06733.
    """

    def findings(self, network: Network) -> Iterator[Finding]:
        if not _gives_scores(network):
            return
        for node in network.flow.tail(AFFINE):
            if node.is_one(TWO_SIDED) and _loss_is_one(network, (MseLoss,)):
                return  # bounds are where the targets are
            if node.is_one(BOUNDED):
                what = "classes can die" if node.is_one(CUTTING) else "the network can't get sure"
                message = f"`{node.name}` is an activation on the scores of the classes: {what}"
                yield Finding.at(node, message, "remove it")
            elif not node.is_one(AFTER_LOGITS):
                return


class SoftmaxBeforeCrossEntropy(Lint, code="softmax-before-cross-entropy", severity="warning"):
    """`cross_entropy` takes scores and contains the softmax, and so does `focal_loss`. Given probabilities, it takes
    the softmax of numbers between 0 and 1: the right class of ten gets 23% at most, the loss never falls below 1.46,
    and gradients are small.

    Effect: a small network on the embedded sample reaches 75.1% instead of 91.1%, and differs by ten points from seed
    to seed.

    Source: `python benchmarks/lint_effects.py`; torch's documentation of `CrossEntropyLoss` ("the unnormalized
    logits").
    """

    def findings(self, network: Network) -> Iterator[Finding]:
        for node, loss in _last_of(network, Softmax, FROM_SCORES):
            yield Finding.at(node, f"`{loss.kind}` takes the softmax again of what `{node.name}` gives", "remove it")


class LogSoftmaxBeforeCrossEntropy(Lint, code="log-softmax-before-cross-entropy", severity="info"):
    """`cross_entropy` is `log_softmax` and `nll_loss` in one, and `focal_loss` takes the log_softmax too. One before it
    changes nothing, for the
    log_softmax of a log_softmax is itself: it costs time, and readers a thought.

    Effect: none on accuracy (91.3% and 91.1%, which is rounding over five epochs).

    Source: log_softmax(x) = x - log(sum(exp(x))), and the exponentials of its result sum to 1;
    `python benchmarks/lint_effects.py`.
    """

    def findings(self, network: Network) -> Iterator[Finding]:
        for node, loss in _last_of(network, LogSoftmax, FROM_SCORES):
            message = f"`{loss.kind}` contains the log_softmax that `{node.name}` takes"
            or_so = ", or write `loss: nll_loss`" if isinstance(loss, CrossEntropy) else ""
            yield Finding.at(node, message, f"remove it{or_so}")


class NllLossWithoutLogSoftmax(Lint, code="nll-loss-without-log-softmax", severity="warning"):
    """`nll_loss` is minus the number that the network gives for the right class. Only for log-probabilities is that a
    loss: anything else can be made as large as one likes, for all classes at once, and the loss falls without bound
    while nothing is learned. After `softmax` it is bounded, but punishes a sure mistake no more than a guess.

    Effect: a small network on the embedded sample stays at 10.0%, which is chance, instead of 91.1%.

    Source: `python benchmarks/lint_effects.py`; torch's documentation of `NLLLoss` ("log-probabilities of each class").
    """

    def findings(self, network: Network) -> Iterator[Finding]:
        recipe = network.plan.spec.recipe
        if recipe is None or not isinstance(recipe.loss, NllLoss):
            return
        (last,) = network.flow.exits[-1:]
        ends = network.flow.tail(())
        end = next((node for node in ends if not node.is_one(RESHAPING)), last)
        if end.is_one((LogSoftmax,)):
            return
        hint = "end with `log_softmax`, or write `loss: cross_entropy`"
        if end.is_one((Softmax,)):
            hint = "write `log_softmax` in its place, or remove it and write `loss: cross_entropy`"
        yield Finding.at(end, f"`nll_loss` takes log-probabilities, and `{end.name}` gives none", hint)


class MseLossAfterLogSoftmax(Lint, code="mse-loss-after-log-softmax", severity="info"):
    """`mse_loss` compares what the network gives with 1 for the right class and 0 for the others. Log-probabilities are
    never above 0: the right class can't come nearer to its 1 than that, and the others come to their 0 only by being as
    probable. The order of the classes is learned all the same, but the loss stays large, and the probabilities mean
    nothing. Scores with nothing after them can be right.

    Effect: next to none on accuracy: a small network on the embedded sample reaches 95.0%, and 95.4% with its scores.

    Source: `python benchmarks/lint_effects.py`; Hui & Belkin 2021, arXiv:2006.07322, who use scores.
    """

    def findings(self, network: Network) -> Iterator[Finding]:
        for node, loss in _last_of(network, LogSoftmax, (MseLoss,)):
            message = f"`{loss.kind}` wants 1 for the right class, and `{node.name}` gives nothing above 0"
            yield Finding.at(node, message, "remove it")


class DropoutOnLogits(Lint, code="dropout-on-logits", severity="info"):
    """Dropout after the last layer sets scores to zero at random: in training the right class often can't win, whatever
    the network does, and the scores that remain are scaled up.

    Effect: none to be seen in five epochs on the embedded sample: 92.8% with p 0.3 there, 91.3% with it one convolution
    earlier.

    Source: `python benchmarks/lint_effects.py`.
    """

    def findings(self, network: Network) -> Iterator[Finding]:
        if not _gives_scores(network):
            return
        for node in network.flow.tail(AFFINE):
            if node.is_one(DROPOUTS):
                yield Finding.at(node, f"`{node.name}` drops scores of classes", "remove it, or move it further up")
            elif not node.is_one(AFTER_LOGITS):
                return


def _gives_scores(network: Network) -> bool:
    """Whether the output is compared over classes; else the network may be the trunk of another one."""
    return network.plan.spec.recipe is not None or any(node.is_one(SOFTMAXES) for node in network.flow.tail(AFFINE))


def _loss_is_one(network: Network, losses: tuple[type[Loss], ...]) -> bool:
    recipe = network.plan.spec.recipe
    return recipe is not None and isinstance(recipe.loss, losses)


def _last_of(
    network: Network, kind: type[Softmax | LogSoftmax], losses: tuple[type[Loss], ...]
) -> Iterator[tuple[Node, Loss]]:
    """The softmax that the output comes from, if the loss is one of these, and the loss."""
    recipe = network.plan.spec.recipe
    if recipe is None or not isinstance(recipe.loss, losses):
        return
    for node in network.flow.tail(AFFINE):
        if node.is_one((kind,)):
            yield node, recipe.loss
        elif not node.is_one(RESHAPING):
            return
