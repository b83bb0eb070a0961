"""Spec to Plan: everything that can be known of a network without torch.

`counting` refuses what would grow too large, `walk` expands and works out shapes (`fitting`, one layer; `values`, what
names mean; `copies`, the same once more), `rows` is what comes of it, `network` the whole, `tables` how it is shown.
"""

from builder.plan.collector import paused_collector
from builder.plan.network import Plan, make_plan, problems_of_size
from builder.plan.rows import GroupRow, LayerRow, Row, leaves, with_levels
from builder.plan.tables import last_fitting, plan_json, plan_table
from builder.signals import ReceptiveField

__all__ = [
    "GroupRow",
    "LayerRow",
    "Plan",
    "ReceptiveField",
    "Row",
    "last_fitting",
    "leaves",
    "make_plan",
    "paused_collector",
    "plan_json",
    "plan_table",
    "problems_of_size",
    "with_levels",
]
