"""yamlnet: convolutional networks from one YAML file, checked, understood, built and trained.

from builder import load_spec, make_plan, build_model, load_model

spec = load_spec("specs/net.yaml")
plan = make_plan(spec)      # print(plan) shows the table
model = build_model(plan)   # an nn.Sequential
model = load_model("runs/net/1")  # the trained one of a finished run
"""

from typing import TYPE_CHECKING

from builder.version import __version__

if TYPE_CHECKING:
    from builder.model import build_model
    from builder.plan import Plan, make_plan
    from builder.problems import SpecError
    from builder.runs.trained import load_model
    from builder.spec import Spec, load_spec
else:
    # Each is imported when it is asked for: a command listens to Ctrl-C before that, and checking does without torch.
    _HOMES = {
        "Plan": "plan",
        "Spec": "spec",
        "SpecError": "problems",
        "build_model": "model",
        "load_model": "runs.trained",
        "load_spec": "spec",
        "make_plan": "plan",
    }

    def __getattr__(name):
        from importlib import import_module

        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


__all__ = ["Plan", "Spec", "SpecError", "__version__", "build_model", "load_model", "load_spec", "make_plan"]
