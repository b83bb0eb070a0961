"""Train and test the network that a YAML spec describes.

python runner.py specs/net.yaml                          check, plan, build, train, test, summarise
python runner.py specs/net.yaml training.epochs=3        with something changed for this run
python runner.py specs/net.yaml 'layers[0].conv2d.out_channels=16'
python runner.py specs/lenet5.yaml specs/tiny.yaml       one run each, then a comparison
python runner.py specs/net.yaml --profile                where the time of a training step goes
python runner.py --resume runs/net/1                     go on with a run that was stopped
python runner.py test runs/net/1                         test a finished run again
python runner.py predict runs/net/1 picture.png          what a finished run takes pictures for
"""

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from builder.exits import Status, Stop, guard, output, reported, say, signals_waiting, stop_if_asked

# All else is imported behind `guard`, which listens to Ctrl-C.
if TYPE_CHECKING:
    from pathlib import Path

    from builder.options import TrainOptions
    from builder.plan import Plan, Row
    from builder.recipe import Dataset
    from builder.runs.directory import RunDirectory
    from builder.spec import Spec
    from builder.training.result import RunResult
    from builder.training.session import Session


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says and return the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    command = {"test": test, "predict": predict}.get(words[0] if words else "")
    return guard(lambda: command(words[1:]) if command else run(words))


def run(words: Sequence[str]) -> int:
    """Try every spec; the first status that isn't 0 counts."""
    from builder.options import train_options

    options = train_options(words, str(__doc__))
    results: list[RunResult] = []
    status = Status.DONE
    for path in options.specs or [""]:
        try:
            result = resume(path, options) if options.resume else start(path, options)
            if result:
                results.append(result)
                result.plan.spec.budget.check_accuracy(result.plan.name, result.test.accuracy)
        except Stop as stop:
            failure = reported(stop)
            status = status or failure
    if len(options.specs) > 1 and results:
        from builder.report.summary import comparison_table

        with output() as stream:
            comparison_table(results).print(stream)
    return status


def start(path: str, options: "TrainOptions") -> "RunResult | None":
    """A new run of a spec, from its text to its summary; None if it was only tried."""
    from builder.spec import load_spec

    spec = load_spec(path, options.overrides)
    recipe = spec.require_recipe()
    session = prepare(spec, recipe.dataset, options, is_new=True)
    if options.dry_run:
        dry_run(session)
        return None
    if options.profile:
        show_profile(session)
        return None

    from builder.runs.directory import RunDirectory
    from builder.runs.lock import RunLock

    directory = RunDirectory.create(options.runs, spec)
    with RunLock(directory.path), signals_waiting():
        return train_session(session, directory, options)


def resume(path: str, options: "TrainOptions") -> "RunResult | None":
    """Go on with a run that was stopped; None if it is done."""
    from builder.runs.finding import find_checkpoint
    from builder.runs.lock import RunLock

    folder, file = find_checkpoint(str(options.resume), options.runs)
    if unfinished_spec(path, folder, options) is None:
        return None
    with RunLock(folder):
        spec = unfinished_spec(path, folder, options)  # until the lock was free, another process may have gone on
        if spec is None:
            return None

        from builder.runs.directory import RunDirectory
        from builder.training.restoring import dataset_so_far, last_checkpoint, precisions_so_far, restore

        directory = RunDirectory(folder)
        checkpoint = last_checkpoint(directory, file)
        dataset = dataset_so_far(checkpoint, spec.require_recipe())
        before = precisions_so_far(checkpoint)
        session = prepare(spec, dataset, options, is_new=checkpoint is None, before=before)
        restore(session, checkpoint, directory, options.strict)
        directory.save_resolved(spec)
        with signals_waiting():
            return train_session(session, directory, options)


def unfinished_spec(path: str, folder: "Path", options: "TrainOptions") -> "Spec | None":
    """What the run in a folder goes on with; None, and a sentence, if it is done."""
    from builder.runs.resuming import check_same_run, how_it_finished, kept_spec
    from builder.spec import load_spec

    kept = kept_spec(folder)
    spec = load_spec(path, options.overrides) if path else kept_spec(folder, options.overrides)
    check_same_run(kept, spec)
    finished = how_it_finished(folder, spec.require_recipe())
    if finished:
        say(finished)
    return None if finished else spec


def prepare(
    spec: "Spec", dataset: "Dataset", options: "TrainOptions", *, is_new: bool, before: Mapping[str, str] | None = None
) -> "Session":
    """The plan, the data, the network: everything that has to be there before the first step."""
    from builder.plan import problems_of_size
    from builder.problems import SpecError
    from builder.requirements import require_tensorboard, require_training_packages

    plan = show_plan(spec, options.quiet)
    require_training_packages()
    if options.tensorboard:
        require_tensorboard()

    import torch

    from builder.data.images import load_data
    from builder.model import build_model
    from builder.training.device import choose_device
    from builder.training.engine import apply_settings
    from builder.training.failures import explained
    from builder.training.initialisation import initialise
    from builder.training.session import Session
    from builder.training.warm_start import start_from

    recipe = spec.require_recipe()

    def check_size(used: "Dataset", num_images: int) -> None:
        if recipe.num_train(used) is None and (problems := problems_of_size(plan, used, num_images)):
            raise SpecError(problems)

    device = choose_device(options.device or recipe.device)
    apply_settings(recipe)
    data = load_data(
        dataset,
        validation=recipe.validation,
        data_dir=options.data_dir,
        offline=options.offline,
        device=device,
        quiet=options.quiet,
        may_write=not options.dry_run,
        may_fall_back=is_new,
        check_size=check_size,
    )
    if data.fallback_used:
        say(f"training on {data.dataset.kind} instead of {dataset.kind}: {data.fallback_reason}")
    torch.manual_seed(recipe.seed)
    with explained("with a network of this size; make it smaller"):
        model = build_model(plan)
        if is_new:
            initialise(model, plan, recipe, data.train)
            if recipe.start_from:
                say(start_from(model, recipe.start_from))
        return Session(plan, model.to(device), data, before)


def train_session(session: "Session", directory: "RunDirectory", options: "TrainOptions") -> "RunResult":
    """The loop, and what is left when it is done."""
    from builder.report.pages import Pages
    from builder.report.progress import Progress
    from builder.report.summary import summary_table
    from builder.training.keeper import RunKeeper
    from builder.training.loop import test_on, train
    from builder.training.result import RunResult

    test = None
    metrics = [*directory.metrics()]  # of the epochs before, in a run that is resumed
    keeper = RunKeeper(session, directory, options.save_every)
    pages = Pages(session, directory, options.tensorboard)
    try:
        with Progress(session, options.quiet) as progress:
            for epoch in train(session, keeper, progress.observe):
                test = epoch.test
                metrics.append(epoch.to_json())
                progress.finish_epoch(epoch)
                pages.refresh(metrics, test)
        if test is None:  # the run was killed behind its last epoch: all but what comes now was there
            test = test_on(session, session.data.test, keeper)
            pages.refresh(metrics, test)
    except KeyboardInterrupt:
        if keeper.farewell:
            say(keeper.farewell)
        raise
    if session.average and session.tested_model is session.model:
        say("the run ended before its averaging began: these are the weights of its last step")
    directory.save_weights(session.tested_model)
    result = RunResult.of(session, metrics, test, directory.path)
    directory.save_summary(result.to_json())
    with output() as stream:
        summary_table(result).print(stream)
    stop_if_asked()
    return result


def dry_run(session: "Session") -> None:
    """One step on one batch; nothing is written."""
    from builder.training.failures import explained
    from builder.training.loop import train_step

    session.start_training()
    indices = next(iter(session.sampler))
    with explained(f"with batch_size {session.recipe.batch_size}; write a smaller one"):
        loss = train_step(session, indices)
    say(f"one step with {len(indices)} images works: loss {loss:.4f}; nothing was written")


def show_profile(session: "Session") -> None:
    """Where the time of a training step goes; nothing is kept."""
    from builder.report.profile import profile_table
    from builder.training.failures import explained
    from builder.training.profile import profile

    with explained(f"with batch_size {session.recipe.batch_size}; write a smaller one"):
        found = profile(session)
    with output() as stream:
        profile_table(found).print(stream)


def test(words: Sequence[str]) -> int:
    """Test a finished run again."""
    from builder.options import test_options
    from builder.requirements import require_training_packages

    options = test_options(words)
    require_training_packages()

    from builder.report import predictions

    return predictions.test(
        options.run,
        options.runs,
        data_dir=options.data_dir,
        offline=options.offline,
        device=options.device,
        quiet=options.quiet,
    )


def predict(words: Sequence[str]) -> int:
    """Say what a finished run takes pictures for."""
    from builder.options import predict_options
    from builder.requirements import require_pillow, require_training_packages

    options = predict_options(words)
    require_training_packages()
    require_pillow()

    from builder.report import predictions

    return predictions.predict(options.run, options.pictures, options.runs, device=options.device)


def show_plan(spec: "Spec", quiet: bool) -> "Plan":
    """Make the plan; print its table, down to the failing layer if one fails, and its warnings."""
    from builder.lints import remarks
    from builder.plan import make_plan, plan_table
    from builder.problems import SpecError

    rows: Sequence[Row] = ()
    try:
        plan = make_plan(spec)
        rows = plan.rows
    except SpecError as error:
        rows = error.rows
        raise
    finally:
        if rows and not quiet:
            with output() as stream:
                plan_table(spec, rows).print(stream)
    warnings = remarks(plan)
    if warnings and not quiet:
        sys.stdout.flush()
        reported(SpecError(warnings))
    return plan


if __name__ == "__main__":
    sys.exit(main())
