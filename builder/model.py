"""The plan made flesh."""

from collections import OrderedDict

from torch import nn

from builder.plan import Plan


def build_model(plan: Plan) -> nn.Sequential:
    """Build the network, each layer a child under its name, in the order of the spec.

    Weights are initialised as torch does by default, from torch's global random state.
    """
    return nn.Sequential(OrderedDict((row.name, row.layer.module(row.in_shape)) for row in plan.rows))
