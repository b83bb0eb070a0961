"""Whether a run can be gone on with: is it still the same? Without torch, so that a refusal comes at once."""

from collections.abc import Sequence
from dataclasses import replace
from difflib import unified_diff
from pathlib import Path

from builder.exits import ResumeError, Stop
from builder.problems import shown_path
from builder.recipe import Recipe
from builder.runs.finding import RESOLVED_FILE, read_summary
from builder.spec import Spec, load_spec

MAX_SHOWN = 20  # lines of a difference
MAY_CHANGE = "what may change is `training.epochs` (upwards), `training.device`, `budget` and `lint`"


class ChangedError(ResumeError):
    """What is asked for is another run."""

    def __init__(self, sentence: str, difference: Sequence[str]) -> None:
        super().__init__(sentence)
        self.difference = difference

    @property
    def report(self) -> str:
        left = len(self.difference) - MAX_SHOWN
        more = [f"  and {left} more lines"] if left > 0 else []
        return "\n".join([super().report, *(f"  {line}" for line in self.difference[:MAX_SHOWN]), *more])


def kept_spec(folder: Path, overrides: Sequence[str] = ()) -> Spec:
    """The spec from which a run follows, with changes to it.

    Raises:
        ResumeError: the run's own copy can't be read any more.
        SpecError: the changes make a wrong spec of it.
    """
    path = folder / RESOLVED_FILE
    try:
        kept = load_spec(path)
    except Stop as error:
        first = str(error).splitlines()[0]
        raise ResumeError(f"{shown_path(path)}, from which the run follows, can't be read: {first}") from None
    return load_spec(path, overrides) if overrides else kept


def check_same_run(kept: Spec, asked: Spec) -> None:
    """Refuse to go on with another network or recipe in the name of the old one.

    Raises:
        ResumeError: something else than `MAY_CHANGE` differs, or more epochs would have made another schedule.
    """
    before, now = kept.require_recipe(), asked.require_recipe()
    free = replace(asked, recipe=now.changed(epochs=before.epochs, device=before.device), budget=kept.budget)
    ours, theirs = (
        kept.resolved().splitlines(),
        replace(free, name=kept.name, allowed=kept.allowed).resolved().splitlines(),
    )
    difference = [line for line in unified_diff(ours, theirs, n=0, lineterm="") if line[:2] not in ("--", "++", "@@")]
    if difference:
        raise ChangedError(f"this is not the spec of that run (-: of the run, +: asked for); {MAY_CHANGE}", difference)
    if now.epochs < before.epochs:
        raise ResumeError(f"the run has {before.epochs} epochs, and fewer ({now.epochs}) are asked for; {MAY_CHANGE}")
    if now.epochs > before.epochs and now.scheduler and now.scheduler.spans_run:
        kind = now.scheduler.kind
        raise ResumeError(
            f"`{kind}` spans the run: with {now.epochs} epochs instead of {before.epochs} all of its learning rates "
            "would have been others; train anew, or choose one that doesn't span it, such as `step`"
        )


def how_it_finished(folder: Path, recipe: Recipe) -> str:
    """A sentence, if the run is done with as many epochs as are asked for; else an empty text."""
    summary = read_summary(folder) or {}
    run, epochs = shown_path(folder), summary.get("epochs")
    if summary.get("stopped_early") is True:
        return f"{run} is finished: it was stopped early, after epoch {epochs}"
    if epochs == recipe.epochs:
        return f"{run} is finished; for more epochs than its {epochs}, add training.epochs=N"
    return ""
