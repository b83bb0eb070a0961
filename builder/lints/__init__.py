"""What a network that works could do better: one class per lint, by family, and the table `LINTS` of them all.

Importing the families fills the table.
"""

from collections.abc import Iterator
from dataclasses import replace

from builder.codes import LINT_CODES, PROBLEM_CODES
from builder.lints import augmentation, capacity, logits, order, pixels, training
from builder.lints.base import LINTS, Finding, Lint, Network
from builder.plan import Plan
from builder.problems import Problem, in_order

EVERY_PAGE = "all"


def remarks(plan: Plan, advice: bool = False) -> list[Problem]:
    """All that `check` says of a network that works: its warnings, and the infos if advice is wanted."""
    found = in_order([*plan.problems, *_lint_problems(plan)])
    return [problem for problem in found if advice or problem.severity != "info"]


def _lint_problems(plan: Plan) -> Iterator[Problem]:
    """What lints find, but for those that the spec allows; once for each place."""
    network = Network(plan)
    for code, lint in LINTS.items():
        if code in plan.spec.allowed:
            continue
        # A repeat finds an item again and again; an alias is the same place on another path.
        first = {(finding.path, finding.field): finding for finding in reversed([*lint.findings(network)])}
        problems = [_problem(plan, lint, finding) for finding in first.values()]
        yield from {problem.place: problem for problem in problems}.values()


def _problem(plan: Plan, lint: Lint, finding: Finding) -> Problem:
    return replace(plan.spec.problem(lint.misfit(finding), finding.path), uses=finding.uses)


def page(code: str) -> str:
    """What a code of `check` means, in Markdown; that of a lint says why, too. Empty if there is no such code."""
    if code == EVERY_PAGE:
        return pages()
    if code in LINTS:
        return LINTS[code].page
    return f"## {code}\n\n{PROBLEM_CODES[code]}\n" if code in PROBLEM_CODES else ""


def pages() -> str:
    """The pages of all lints, as `docs/lints.md` holds them."""
    return "\n".join([INTRODUCTION, *(LINTS[code].page for code in LINT_CODES)])


INTRODUCTION = """\
# Lints

What `python -m builder check` says of networks that work. A **warning** stands where accuracy or correctness suffers
measurably, an **info** where it is a matter of design: infos are shown with `--advice` only, and never counted.

A lint that is wrong about a spec is switched off there, with the reason:

```yaml
lint: {allow: {dense-head: the whole point of this network}}
```

This page is written by `python -m builder check --explain all > docs/lints.md`, one section of it by
`--explain CODE`.
"""

__all__ = [
    "LINTS",
    "Lint",
    "augmentation",
    "capacity",
    "logits",
    "order",
    "page",
    "pages",
    "pixels",
    "remarks",
    "training",
]
