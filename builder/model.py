"""The plan made flesh."""

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

from builder.modules import sequential
from builder.plan import GroupRow, LayerRow, Plan, Row


def build_model(plan: Plan) -> nn.Sequential:
    """Build the network, each layer a child under its name, in the order of the spec.

    Weights are initialised as torch does by default, from torch's global random state.
    """
    return sequential(_modules(plan.rows))


def _modules(rows: Sequence[Row]) -> "OrderedDict[str, nn.Module]":
    return OrderedDict((row.name, _module(row)) for row in rows)


def _module(row: Row) -> nn.Module:
    if isinstance(row, LayerRow):
        return row.layer.module(row.unit_shape)
    assert isinstance(row, GroupRow)  # there are no other rows
    return row.composite.module(row.unit_out_shape, _modules(row.children))
