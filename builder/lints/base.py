"""What a lint is: a code, how much it matters, a page that says why, and the places of a plan that it finds."""

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from builder.codes import LINT_CODES
from builder.kinds import Misfit
from builder.lints.flow import Flow, Node
from builder.paths import Path
from builder.plan import Plan
from builder.problems import Severity, Use
from builder.recipe import Recipe
from builder.spec import Spec


@dataclass(frozen=True)
class Finding:
    """A place where a lint has something to say: what is the case, and what would be better."""

    message: str
    hint: str
    path: Path
    field: str = ""  # the parameter to point at, if it is written
    uses: tuple[Use, ...] = ()

    @classmethod
    def at(cls, node: Node, message: str, hint: str, field: str = "") -> "Finding":
        """At a layer."""
        return cls(message, hint, node.row.path, field, node.row.uses)


class Network:
    """A plan, and its flow."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    @cached_property
    def flow(self) -> Flow:
        return Flow(self.plan)


class Lint:
    """The base of all lints.

    A subclass names its code, `class TwoActivations(Lint, code="two-activations", severity="info")`. Its docstring is
    its page: why, the effect (with numbers: `Effect: ...`), and the source of both (`Source: ...`).
    A lint is a warning where accuracy or correctness suffers measurably, and else an info.
    """

    code: ClassVar[str]
    severity: ClassVar[Severity]

    def __init_subclass__(cls, *, code: str = "", severity: Severity = "info") -> None:
        if code:  # a base of others has none
            cls.code, cls.severity = code, severity
            LINTS[code] = cls()

    @property
    def page(self) -> str:
        """Its page, in Markdown."""
        text = inspect.getdoc(type(self)) or ""
        return f"## {self.code} ({self.severity})\n\n{_sentence(LINT_CODES[self.code])}\n\n{text}\n"

    def findings(self, network: Network) -> Iterator[Finding]:
        """What it has to say about a network."""
        raise NotImplementedError

    def misfit(self, finding: Finding) -> Misfit:
        """The finding under its code."""
        return Misfit(self.code, finding.message, finding.hint, finding.field, self.severity)


class RecipeLint(Lint):
    """The base of lints of the recipe; without one they have nothing to say."""

    def findings(self, network: Network) -> Iterator[Finding]:
        spec = network.plan.spec
        if spec.recipe:
            yield from self.findings_of(spec.recipe, spec)

    def findings_of(self, recipe: Recipe, spec: Spec) -> Iterator[Finding]:
        """What it has to say about a recipe, and how its spec writes that."""
        raise NotImplementedError


LINTS: dict[str, Lint] = {}


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
