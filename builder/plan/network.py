"""Everything that can be known of a network without torch: the rows of its layers, and totals over the rows."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod

from builder.computed import Names
from builder.kinds import Misfit
from builder.layers import Shape
from builder.layers.base import described
from builder.limits import MAX_PARAMS
from builder.plan.collector import paused_collector
from builder.plan.counting import LayerCount
from builder.plan.named_layers import (
    by_name,
    freeze_problems,
    initialisation_problems,
    is_under,
    lr_factor_problems,
)
from builder.plan.rows import LayerRow, Row
from builder.plan.tables import plan_table
from builder.plan.values import Scope
from builder.plan.walk import Walk
from builder.problems import Problem, SpecError, errors
from builder.recipe import Dataset, Recipe, rules_of_size
from builder.signals import ReceptiveField
from builder.spec import Spec

MAX_WALKS = 8  # until the calls of every block are as many as was assumed


@dataclass(frozen=True)
class Plan:
    """A spec, and the row of each of its layers; printing it gives the table."""

    spec: Spec
    rows: tuple[Row, ...]
    warnings: tuple[Problem, ...] = ()  # of shapes; those of the spec are its own

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def output(self) -> Shape:
        return self.rows[-1].out_shape

    @cached_property
    def params(self) -> int:
        """Learnable numbers."""
        return sum(row.params for row in self.rows)

    @cached_property
    def buffers(self) -> int:
        """Numbers kept but not learned: running statistics."""
        return sum(row.buffers for row in self.rows)

    @cached_property
    def macs(self) -> int:
        """Multiply-accumulates for one image."""
        return sum(row.macs for row in self.rows)

    @property
    def receptive_field(self) -> ReceptiveField:
        """That of the last layer."""
        return self.rows[-1].receptive_field

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Warnings."""
        return (*self.spec.problems, *self.warnings)

    def __str__(self) -> str:
        return plan_table(self.spec, self.rows).text()


@paused_collector()
def make_plan(spec: Spec) -> Plan:
    """Work out every layer's shape, receptive field, parameters and MACs.

    Raises:
        SpecError: a layer doesn't fit, or the network doesn't fit the recipe; `rows` holds the layers before.
    """
    plan = _expanded(spec)
    problems = list(_network_problems(plan))
    if errors(problems):
        raise SpecError([*plan.problems, *problems], plan.rows)
    return replace(plan, warnings=(*plan.warnings, *problems)) if problems else plan


def _expanded(spec: Spec) -> Plan:
    """The plan that comes of a walk over the spec in which each block is called as often as `block_count` says.

    How often that is, a walk shows; it may depend on shapes, by `when`. So the first walk assumes that nothing is left
    out, and the next what the one before has shown.
    """
    constants = Names(spec.constants)
    counting = LayerCount(spec.blocks, spec.orders, constants, spec.counts_calls)
    try:
        block_counts = counting.of(spec.layers, Scope(constants)).calls
    except SpecError as error:
        raise SpecError([*spec.problems, *error.problems]) from None
    for _ in range(MAX_WALKS):
        walk = Walk(spec, block_counts)
        try:
            rows = walk.run()
        except SpecError as error:
            raise SpecError([*spec.problems, *walk.warnings, *error.problems], error.rows) from None
        if not spec.counts_calls or walk.block_calls == Counter(block_counts):
            return Plan(spec, tuple(rows), tuple(walk.warnings))
        block_counts = walk.block_calls
    message = "how often a block is called depends on `block_index` or `block_count`, and never settles"
    hint = "let `when` depend on neither of them"
    raise SpecError([*spec.problems, spec.problem(Misfit("circular-count", message, hint), ("blocks",))], rows)


def _network_problems(plan: Plan) -> Iterator[Problem]:
    """What only the whole network shows."""
    if not plan.rows:
        message = "no layer is left"
        yield plan.spec.problem(
            Misfit("no-layers", message, "at least one must remain, whatever `when` leaves out"), ("layers",)
        )
        return
    if plan.params > MAX_PARAMS:
        message = f"the network has {plan.params:,} parameters"
        yield plan.spec.problem(Misfit("too-many-params", message, f"at most {MAX_PARAMS:,} are possible"), ("layers",))
    for misfit in plan.spec.budget.misfits(plan.params, plan.macs, plan.receptive_field.size):
        yield plan.spec.problem(misfit, ("budget",))
    recipe = plan.spec.recipe
    if recipe is None:
        return
    classes = len(recipe.dataset.classes)
    if plan.output != (classes,):
        message = f"the network gives {described(plan.output)}, and {recipe.dataset.kind} has {classes} classes"
        hint = (
            f"let the last layer give {classes} features"
            if len(plan.output) == 1
            else "add `flatten` after it"
            if prod(plan.output) == classes
            else f"end with `flatten` and {classes} features"
        )
        yield plan.spec.problem(Misfit("wrong-classes", message, hint), plan.spec.layers[-1].path)
    alone = (_batch_of_one(plan, recipe, dataset, recipe.num_train(dataset)) for dataset in recipe.possible_datasets)
    yield from [problem for problem in alone if problem][:1]
    yield from initialisation_problems(plan.spec, plan.rows, recipe.initialisation)
    yield from freeze_problems(plan.spec, plan.rows, recipe.freeze)
    yield from lr_factor_problems(plan.spec, plan.rows, recipe.parameter_groups.lr_factors, recipe.freeze)


def problems_of_size(plan: Plan, dataset: Dataset, num_images: int) -> list[Problem]:
    """What is wrong with training on so many images of a data set, where only a run can count them.

    Elsewhere it is among the problems of the spec and the plan.
    """
    recipe = plan.spec.require_recipe()
    problems = [plan.spec.problem(misfit, ("training",)) for misfit in rules_of_size(recipe, dataset, num_images)]
    alone = _batch_of_one(plan, recipe, dataset, num_images)
    return [*problems, alone] if alone else problems


def _batch_of_one(plan: Plan, recipe: Recipe, dataset: Dataset, num_images: int | None) -> Problem | None:
    """Batch norm needs two values per channel; torch says so at the end of the first epoch.

    One that is frozen and keeps running statistics uses these.
    """
    if recipe.batch_size == 1:
        holds = "a batch holds 1 image"
    elif num_images and num_images % recipe.batch_size == 1:
        holds = f"the last batch of an epoch holds 1 of the {num_images:,} images of {dataset.kind}"
    else:
        return None
    for name, row in by_name(plan.rows):
        is_still = row.buffers and is_under(name, recipe.freeze)
        if isinstance(row, LayerRow) and row.values_per_channel == 1 and not is_still:
            message = f"{holds}, and `{row.name}` needs 2 values per channel"
            misfit = Misfit("batch-of-one", message, "write another `batch_size`", "batch_size")
            return plan.spec.problem(misfit, ("training",))
    return None
