"""yamlnet: convolutional networks from one YAML file, checked, understood, built and trained.

from builder import load_spec, make_plan, build_model

spec = load_spec("specs/net.yaml")
plan = make_plan(spec)      # print(plan) shows the table
model = build_model(plan)   # an nn.Sequential
"""

from typing import TYPE_CHECKING

from builder.plan import Plan, make_plan
from builder.problems import SpecError
from builder.spec import Spec, load_spec
from builder.version import __version__

if TYPE_CHECKING:
    from torch import nn


def build_model(plan: Plan) -> "nn.Sequential":
    """The plan as an `nn.Sequential` whose children carry the layers' names; torch is imported here."""
    from builder.model import build_model

    return build_model(plan)


__all__ = ["Plan", "Spec", "SpecError", "__version__", "build_model", "load_spec", "make_plan"]
