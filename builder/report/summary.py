"""The summary of a run, and the comparison of several."""

from collections.abc import Sequence

from builder.plan import ReceptiveField
from builder.table import Column, Table
from builder.training.result import RunResult


def summary_table(result: RunResult) -> Table:
    """One run, a line per figure."""
    plan, recipe = result.plan, result.recipe
    rows = [
        ("spec", plan.spec.source.name),
        ("data set", _dataset_text(result)),
        ("parameters", f"{plan.params:,}"),
        ("MACs per image", f"{plan.macs:,}"),
        ("receptive field", _field_text(plan.receptive_field)),
        ("epochs", f"{len(result.metrics)} (batch size {recipe.batch_size}, seed {recipe.seed})"),
        ("device", f"{result.device}, {result.precision}"),
        ("training time", f"{result.train_seconds:.1f} s"),
        ("training speed", f"{result.images_per_second:,.0f} images/s"),
        ("test loss", f"{result.test.loss:.4f}"),
        ("test accuracy", f"{result.test.accuracy:.2%} ({result.test.correct:,} of {result.test.total:,})"),
        ("stored in", str(result.directory)),
    ]
    return Table((Column("summary"), Column(plan.name)), rows)


def _dataset_text(result: RunResult) -> str:
    if result.fallback_reason:
        return f"{result.dataset.kind}, because {result.recipe.dataset.kind} was not to be had"
    return result.dataset.kind


def _field_text(field: ReceptiveField) -> str:
    height, width = field.size
    return f"{height}x{width} pixels" + (", covers the input" if field.covers_input else "")


def comparison_table(results: Sequence[RunResult]) -> Table:
    """Several runs, a row each."""
    columns = (
        Column("spec"),
        Column("data set", drop=4),
        Column("params", "right", drop=1),
        Column("MACs", "right", drop=3),
        Column("epochs", "right", drop=6),
        Column("seconds", "right", drop=2),
        Column("images/s", "right", drop=5),
        Column("test loss", "right", drop=7),
        Column("accuracy", "right"),
        Column("stored in", drop=8),
    )
    rows = [
        (
            result.plan.name,
            result.dataset.kind,
            f"{result.plan.params:,}",
            f"{result.plan.macs:,}",
            str(len(result.metrics)),
            f"{result.train_seconds:.1f}",
            f"{result.images_per_second:,.0f}",
            f"{result.test.loss:.4f}",
            f"{result.test.accuracy:.2%}",
            str(result.directory),
        )
        for result in results
    ]
    return Table(columns, rows, title="comparison")
