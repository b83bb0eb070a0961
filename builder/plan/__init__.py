"""Spec to Plan: everything that can be known of a network without torch.

`counting` refuses what would grow too large, `walk` expands and works out shapes (`fitting`, one layer; `values`, what
names mean), `rows` is what comes of it, `network` the whole, `tables` how it is shown.
"""

from builder.plan.network import Plan, make_plan, problems_of_size
from builder.plan.rows import GroupRow, LayerRow, ReceptiveField, Row, leaves, with_levels
from builder.plan.tables import plan_json, plan_table

__all__ = [
    "GroupRow",
    "LayerRow",
    "Plan",
    "ReceptiveField",
    "Row",
    "leaves",
    "make_plan",
    "plan_json",
    "plan_table",
    "problems_of_size",
    "with_levels",
]
