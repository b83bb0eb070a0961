"""Schedules: torch's own, with torch's defaults, over the length of the run, behind a warm-up or not."""

import inspect
from collections.abc import Callable
from itertools import product
from math import cos, pi
from typing import Any

import pytest
from torch import optim
from torch.optim import lr_scheduler
from training_contract import (
    EPOCHS,
    OPTIMIZERS,
    REQUIRED,
    SCHEDULERS,
    STEPS_PER_EPOCH,
    VALIDATION_LOSSES,
    Run,
    are_equal,
    lrs,
    one_layer,
    raises,
    recipe,
    take_step,
    weights,
)

from builder.kinds import parameters
from builder.recipe import Optimizer, Scheduler
from builder.recipe.schedulers import CosineRestarts, OneCycle
from builder.recipe.warmup import Warmup

STEPS = EPOCHS * STEPS_PER_EPOCH
COMPUTED = {"optimizer", "total_steps", "epochs", "steps_per_epoch", "last_epoch", "T_max", "total_iters"}
# Of a validation loss less is better; torch's defaults of `linear` are those of a warm-up, which we have elsewhere.
DECIDED = {"reduce_on_plateau": {"mode"}, "linear": {"start_factor", "end_factor"}}
WITHIN_EPOCHS = {"step", "multi_step", "exponential", "reduce_on_plateau"}
FIXED = {"one_cycle", "reduce_on_plateau"}  # they have no `interval` to choose

# What torch is told by hand for the same schedules, stepped so many times in the run and in each epoch.
BY_HAND: dict[str, Callable[[optim.Optimizer, int, int], Any]] = {
    "one_cycle": lambda optimizer, length, in_epoch: lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=length),
    "cosine": lambda optimizer, length, in_epoch: lr_scheduler.CosineAnnealingLR(optimizer, T_max=length),
    "cosine_restarts": lambda optimizer, length, in_epoch: lr_scheduler.CosineAnnealingWarmRestarts(
        optimizer, T_0=2 * in_epoch
    ),
    "linear": lambda optimizer, length, in_epoch: lr_scheduler.LinearLR(optimizer, 1.0, 0.1, total_iters=length),
    "polynomial": lambda optimizer, length, in_epoch: lr_scheduler.PolynomialLR(optimizer, total_iters=length),
    "step": lambda optimizer, length, in_epoch: lr_scheduler.StepLR(optimizer, step_size=2),
    "multi_step": lambda optimizer, length, in_epoch: lr_scheduler.MultiStepLR(optimizer, milestones=[1, 3]),
    "exponential": lambda optimizer, length, in_epoch: lr_scheduler.ExponentialLR(optimizer, gamma=0.9),
    "reduce_on_plateau": lambda optimizer, length, in_epoch: lr_scheduler.ReduceLROnPlateau(optimizer, patience=1),
}
WRITTEN: dict[str, dict[str, Any]] = {kind: {**REQUIRED.get(kind, {})} for kind in SCHEDULERS}
WRITTEN["cosine_restarts"]["T_0"] = 2
WRITTEN["reduce_on_plateau"]["patience"] = 1
OTHER_INTERVAL = {
    kind: {**written, "interval": "step" if kind in WITHIN_EPOCHS else "epoch"}
    for kind, written in WRITTEN.items()
    if kind not in FIXED
}
ALL = [*WRITTEN.items(), *OTHER_INTERVAL.items()]


def run_of(**changes: Any) -> Run:
    return Run(recipe(**changes), one_layer())


def test_every_scheduler_is_compared() -> None:
    assert set(SCHEDULERS) == set(BY_HAND) == set(Scheduler.table), "add it to tests/training_contract.py"


@pytest.mark.parametrize("kind", SCHEDULERS)
def test_a_scheduler_takes_torchs_parameters_with_torchs_defaults(kind: str) -> None:
    ours = {
        item.name: inspect.Parameter.empty if item.required else item.type.canonical(item.default)
        for item in parameters(Scheduler.table[kind])
        if item.name != "interval"
    }
    torchs = {
        item.name: item.default
        for item in inspect.signature(SCHEDULERS[kind]).parameters.values()
        if item.name not in COMPUTED
    }
    for name in DECIDED.get(kind, ()):
        del torchs[name]
        assert ours.pop(name, inspect.Parameter.empty) is inspect.Parameter.empty
    assert ours == torchs


@pytest.mark.parametrize(("kind", "written"), ALL, ids=str)
def test_a_scheduler_is_stepped_per_step_or_per_epoch(kind: str, written: dict[str, Any]) -> None:
    scheduler = Scheduler.table[kind].read(written)
    assert scheduler.per_epoch == ((kind in WITHIN_EPOCHS) != ("interval" in written))
    assert scheduler.needs_validation == (kind == "reduce_on_plateau")


@pytest.mark.parametrize(("kind", "written"), ALL, ids=str)
def test_what_spans_the_run_is_what_changes_with_its_length(kind: str, written: dict[str, Any]) -> None:
    short, long = (run_of(scheduler={kind: written}, epochs=epochs) for epochs in (EPOCHS, 2 * EPOCHS))
    differ = list(lrs(short, STEPS - 1)) != list(lrs(long, STEPS - 1))
    assert Scheduler.table[kind].spans_run == differ


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize(("kind", "written"), ALL, ids=str)
def test_a_whole_run_is_torchs_to_the_last_bit(kind: str, written: dict[str, Any], optimizer: str) -> None:
    ours = run_of(optimizer={optimizer: {"lr": 0.05}}, scheduler={kind: written})
    is_within_epochs = (kind in WITHIN_EPOCHS) != ("interval" in written)
    model = one_layer()
    torchs = OPTIMIZERS[optimizer](model.parameters(), lr=0.05)
    scheduler = BY_HAND[kind](torchs, *((EPOCHS, 1) if is_within_epochs else (STEPS, STEPS_PER_EPOCH)))
    expected = []
    for step in range(STEPS):
        expected.append([torchs.param_groups[0]["lr"]])
        take_step(model, torchs, step)
        if not is_within_epochs:
            scheduler.step()
        elif (step + 1) % STEPS_PER_EPOCH == 0:
            loss = VALIDATION_LOSSES[step // STEPS_PER_EPOCH]
            scheduler.step(*[loss] if kind == "reduce_on_plateau" else [])
    assert list(lrs(ours, STEPS)) == expected
    assert len({lr for (lr,) in expected}) > 1  # that is, it changes
    assert are_equal(ours.model, model)


@pytest.mark.parametrize("warmup", [None, {"epochs": 1}, {"steps": 13}], ids=str)
@pytest.mark.parametrize("kept_after", [7, 20])
@pytest.mark.parametrize(("kind", "written"), ALL, ids=str)
def test_a_run_that_was_kept_half_way_goes_on_to_the_same_bits(
    kind: str, written: dict[str, Any], kept_after: int, warmup: dict[str, Any] | None
) -> None:
    changes = {"scheduler": {kind: written}, "warmup": warmup, "parameter_groups": {"bias_lr_factor": 2}}
    whole = run_of(**changes)
    whole.take(kept_after)
    kept = whole.kept()
    whole.take(20)
    resumed = run_of(**changes)
    resumed.go_on_from(kept)
    resumed.take(20)
    assert are_equal(resumed.model, whole.model)
    assert resumed.schedule.lr == whole.schedule.lr


@pytest.mark.parametrize("warmup", [None, {"steps": 13}], ids=str)
@pytest.mark.parametrize(("kind", "written"), [case for case in ALL if not Scheduler.table[case[0]].spans_run], ids=str)
def test_a_finished_run_that_is_given_more_epochs_is_the_longer_run(
    kind: str, written: dict[str, Any], warmup: dict[str, Any] | None
) -> None:
    """Which a schedule that spans the run can't be."""
    changes = {"scheduler": {kind: written}, "warmup": warmup}
    whole = run_of(**changes)
    whole.take(STEPS)
    short = run_of(**changes, epochs=EPOCHS // 2)
    short.take(STEPS // 2)
    longer = run_of(**changes)
    longer.go_on_from(short.kept())
    longer.take(STEPS // 2)
    assert are_equal(longer.model, whole.model)
    assert longer.schedule.lr == whole.schedule.lr


# --- warm-up ---


def test_a_warm_up_climbs_in_a_straight_line_as_torchs_does() -> None:
    steps, factor, lr = 13, 0.25, 0.3
    ours = run_of(optimizer={"sgd": {"lr": lr}}, warmup={"steps": steps, "start_factor": factor})
    torchs = optim.SGD(weights(), lr=lr)
    linear = lr_scheduler.LinearLR(torchs, start_factor=factor, total_iters=steps)
    for (found,) in lrs(ours, 20):
        assert found == pytest.approx(torchs.param_groups[0]["lr"], rel=1e-12)
        torchs.step()
        linear.step()
    assert ours.schedule.lr == lr


@pytest.mark.parametrize(("kind", "written"), ALL, ids=str)
def test_a_scheduler_begins_where_the_warm_up_ends(kind: str, written: dict[str, Any]) -> None:
    """As if the run began there, one epoch shorter."""
    scheduler = {kind: written}
    warmed = run_of(scheduler=scheduler, warmup={"epochs": 1}, epochs=EPOCHS + 1)
    plain = run_of(scheduler=scheduler)
    (first,) = next(lrs(plain, 1))
    climb = [lr for (lr,) in lrs(warmed, STEPS_PER_EPOCH)]
    assert climb == pytest.approx([first * (0.01 + 0.99 * step / STEPS_PER_EPOCH) for step in range(STEPS_PER_EPOCH)])
    rest = [lr for (lr,) in lrs(warmed, STEPS_PER_EPOCH - 1)]
    assert rest == [lr for (lr,) in lrs(plain, STEPS_PER_EPOCH - 1)]


def test_the_epoch_in_which_a_warm_up_ends_counts_for_a_scheduler_of_epochs() -> None:
    run = run_of(optimizer={"sgd": {"lr": 1}}, warmup={"steps": 4}, scheduler={"exponential": {"gamma": 0.5}})
    found = [lr for (lr,) in lrs(run, STEPS)]
    assert found[4:] == [*[1] * 6, *[0.5] * 10, *[0.25] * 10, *[0.125] * 10]


@pytest.mark.parametrize("steps", [4, 9, 10, 11])
def test_a_schedule_of_epochs_spans_all_that_it_counts_behind_a_warm_up(steps: int) -> None:
    """Down to the end after the last epoch, which is one step more than there are."""
    scheduler = {"linear": {"start_factor": 1, "end_factor": 0.5, "interval": "epoch"}}
    run = run_of(optimizer={"sgd": {"lr": 1}}, warmup={"steps": steps}, scheduler=scheduler)
    found = [lr for (lr,) in lrs(run, STEPS)]
    epochs = EPOCHS - steps // STEPS_PER_EPOCH
    assert found[steps] == 1
    assert found[-1] == pytest.approx(1 - 0.5 * (epochs - 1) / epochs)
    assert run.schedule.lr == pytest.approx(0.5)


@pytest.mark.parametrize(("written", "steps"), [({"epochs": 2}, 20), ({"epochs": 0.25}, 2), ({"epochs": 0.01}, 1)])
def test_a_warm_up_may_be_a_fraction_of_an_epoch_but_never_nothing(written: dict[str, float], steps: int) -> None:
    assert Warmup.read(written).num_steps(STEPS_PER_EPOCH) == steps


def test_a_warm_up_is_told_in_epochs_or_in_steps() -> None:
    for written in ({}, {"epochs": 1, "steps": 10}):
        assert [misfit.code for misfit in Warmup.read(written).rules()] == ["warmup-length"]
    assert [*Warmup.read({"steps": 3}).rules(), *Warmup.read({"epochs": 3}).rules()] == []


@pytest.mark.parametrize(
    ("warmup", "is_refused"), [({"epochs": 4}, True), ({"steps": 40}, True), ({"steps": 39}, False)]
)
def test_a_warm_up_leaves_something_of_the_run(warmup: dict[str, Any], is_refused: bool) -> None:
    found = [(misfit.code, misfit.field) for misfit in recipe(warmup=warmup, scheduler="cosine").rules()]
    assert found == ([("warmup-too-long", f"warmup.{next(iter(warmup))}")] if is_refused else [])


def test_no_schedule_leaves_the_learning_rate_alone() -> None:
    assert {lr for (lr,) in lrs(run_of(optimizer={"sgd": {"lr": 0.3}}), STEPS)} == {0.3}


# --- groups ---


def test_one_cycle_keeps_the_factors_of_groups() -> None:
    groups = {"bias_lr_factor": 2, "lr_factors": {"3": 0.5}}
    run = Run(recipe(scheduler={"one_cycle": {"max_lr": 0.1}}, parameter_groups=groups))
    found = list(lrs(run, STEPS))
    assert len(found[0]) == 3  # biases of layer 3 have a factor of 1
    assert all(rates == pytest.approx([rates[0], rates[0] * 2, rates[0] * 0.5], rel=1e-9) for rates in found)
    assert max(found)[0] == pytest.approx(0.1, rel=0.01)


def test_one_cycle_keeps_the_proportion_of_muon_and_its_adamw() -> None:
    optimizer = {"muon": {"lr": 0.02, "adamw": {"lr": 0.001}}}
    run = Run(recipe(optimizer=optimizer, scheduler={"one_cycle": {"max_lr": 0.2}}))
    assert all(rates[1] == pytest.approx(rates[0] / 20, rel=1e-9) for rates in lrs(run, STEPS))


# --- one_cycle ---

ONE_CYCLES: list[dict[str, Any]] = [
    {"max_lr": 0.1},
    {"max_lr": 0.01, "pct_start": 0.5, "anneal_strategy": "linear", "three_phase": True},
    {"max_lr": 1, "div_factor": 10, "final_div_factor": 100, "base_momentum": 0.5, "max_momentum": 0.9},
    {"max_lr": 0.1, "cycle_momentum": False, "pct_start": 0.0},
    {"max_lr": 0.1, "pct_start": 1.0},
]


def trajectory(optimizer: optim.Optimizer, scheduler: lr_scheduler.LRScheduler, steps: int) -> list[dict[str, Any]]:
    """The learning rate, and what is cycled against it, at every step."""
    found = []
    for _ in range(steps):
        (group,) = optimizer.param_groups
        found.append({name: value for name, value in group.items() if name in ("lr", "momentum", "betas")})
        optimizer.step()
        scheduler.step()
    return found


@pytest.mark.parametrize("written", ONE_CYCLES, ids=str)
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "nadam", "rmsprop"])
def test_one_cycle_takes_the_whole_run(optimizer: str, written: dict[str, Any]) -> None:
    epochs, steps_per_epoch = 3, 7
    steps = epochs * steps_per_epoch
    ours = Optimizer.table[optimizer].read({"lr": 0.5}).optimizer(weights())
    torchs = OPTIMIZERS[optimizer](weights(), lr=0.5)
    scheduler = Scheduler.table["one_cycle"].read(written).scheduler(ours, steps, steps_per_epoch)
    by_hand = lr_scheduler.OneCycleLR(torchs, epochs=epochs, steps_per_epoch=steps_per_epoch, **written)
    # The last step of the schedule is the last of the run; torch raises at one more.
    assert trajectory(ours, scheduler, steps - 1) == trajectory(torchs, by_hand, steps - 1)
    assert ours.param_groups[0]["lr"] == torchs.param_groups[0]["lr"]


@pytest.mark.parametrize("three_phase", [False, True])
@pytest.mark.parametrize("warmup", [None, {"steps": 7}], ids=str)
def test_one_cycle_may_climb_to_the_last_step(warmup: dict[str, Any] | None, three_phase: bool) -> None:
    """Torch divides by the steps that are left, if it is asked for one more."""
    written = {"max_lr": 0.1, "pct_start": 1, "three_phase": three_phase}
    run = run_of(scheduler={"one_cycle": written}, warmup=warmup)
    run.take(STEPS)
    assert run.schedule.lr == pytest.approx(0.1)


TWENTIETHS = [share / 20 for share in range(21)]


@pytest.mark.parametrize("three_phase", [False, True])
def test_one_cycle_refuses_a_climb_of_one_step_where_torch_divides_by_zero(three_phase: bool) -> None:
    grid = list(product(TWENTIETHS, range(1, 41)))
    refused = {(share, steps) for share, steps in grid if is_refused_climb(share, steps, three_phase)}
    assert refused == {(share, steps) for share, steps in grid if divides_by_zero(share, steps, three_phase)}
    assert len(refused) == 6  # the divisors of 20


def test_every_climb_that_torch_divides_by_zero_for_is_refused() -> None:
    # With shares that have no short decimals the product may miss 1 by a rounding error; torch takes it then.
    raised = [steps for steps in range(1, 100) if divides_by_zero(1 / steps, steps, False)]
    assert len(raised) > 95
    assert all(is_refused_climb(1 / steps, steps, False) for steps in raised)


def test_a_climb_that_torch_can_divide_by_is_accepted() -> None:
    """1/49 of 49 steps is not 1 in floating point, and torch runs."""
    schedule = Scheduler.table["one_cycle"](max_lr=0.1, pct_start=1 / 49)
    assert schedule.check_run(Optimizer.table["sgd"](), 49) is None


def is_refused_climb(share: float, steps: int, three_phase: bool) -> bool:
    one_cycle = OneCycle.read({"max_lr": 0.1, "pct_start": share, "three_phase": three_phase})
    misfit = one_cycle.check_run(Optimizer.table["adam"].read({}), steps)
    return misfit is not None and misfit.code == "climb-of-one-step"


def divides_by_zero(share: float, steps: int, three_phase: bool) -> bool:
    one_cycle = OneCycle.read({"max_lr": 0.1, "pct_start": share, "three_phase": three_phase})
    return raises(lambda: whole_run(one_cycle, Optimizer.table["adam"].read({}), steps), ZeroDivisionError)


def whole_run(scheduler: Scheduler, optimizer: Optimizer, steps: int) -> None:
    torchs = optimizer.optimizer(weights())
    schedule = scheduler.scheduler(torchs, steps, steps)
    for _ in range(min(steps, 4) - 1):  # torch divides at the first step, if at all; a few more are tried
        torchs.step()
        schedule.step()


@pytest.mark.parametrize("kind", OPTIMIZERS)
@pytest.mark.parametrize("cycle_momentum", [False, True])
def test_one_cycle_refuses_an_optimizer_without_momentum_where_torch_does(kind: str, cycle_momentum: bool) -> None:
    optimizer = Optimizer.table[kind].read({})
    one_cycle = OneCycle.read({"max_lr": 0.1, "cycle_momentum": cycle_momentum})
    misfit = one_cycle.check_run(optimizer, 100)
    refused = raises(lambda: one_cycle.scheduler(optimizer.optimizer(weights()), 100, 10), ValueError)
    assert refused == (kind in ("adadelta", "adagrad") and cycle_momentum)
    assert refused == (misfit is not None and misfit.code == "no-momentum")


# --- others ---


def test_cosine_takes_the_whole_run() -> None:
    steps, highest, lowest = STEPS, 0.3, 0.02
    run = run_of(optimizer={"sgd": {"lr": highest}}, scheduler={"cosine": {"eta_min": lowest}})
    found = [lr for (lr,) in lrs(run, steps)]
    assert found == pytest.approx([lowest + (highest - lowest) * (1 + cos(pi * at / steps)) / 2 for at in range(steps)])
    assert run.schedule.lr == found[-1]  # behind the last step nothing changes any more


def test_step_counts_epochs() -> None:
    run = run_of(optimizer={"sgd": {"lr": 1}}, scheduler={"step": {"step_size": 2, "gamma": 0.5}})
    assert [lr for (lr,) in lrs(run, STEPS)] == [*[1] * 20, *[0.5] * 20]


def test_step_counts_steps_if_it_is_told_to() -> None:
    written = {"step_size": 15, "gamma": 0.5, "interval": "step"}
    run = run_of(optimizer={"sgd": {"lr": 1}}, warmup={"steps": 5}, scheduler={"step": written})
    found = [lr for (lr,) in lrs(run, STEPS)]
    assert found[5:] == [*[1] * 15, *[0.5] * 15, *[0.25] * 5]


@pytest.mark.parametrize("kind", ["step", "multi_step", "exponential"])
def test_the_changes_that_a_schedule_of_epochs_tells_are_those_that_torch_makes(kind: str) -> None:
    scheduler = Scheduler.table[kind].read(WRITTEN[kind])
    optimizer = optim.SGD(weights(), lr=1)
    schedule = scheduler.scheduler(optimizer, STEPS, STEPS_PER_EPOCH)
    for epochs in range(1, 8):
        optimizer.step()
        schedule.step()
        assert optimizer.param_groups[0]["lr"] == pytest.approx(scheduler.gamma ** scheduler.changes(epochs))


@pytest.mark.parametrize("t_mult", [1, 2, 3])
def test_cycles_begin_anew_where_torch_begins_them_anew(t_mult: int) -> None:
    scheduler = CosineRestarts.read({"T_0": 3, "T_mult": t_mult})
    optimizer = optim.SGD(weights(), lr=1)
    schedule = scheduler.scheduler(optimizer, 0, 1)
    for epochs in range(1, 30):
        optimizer.step()
        schedule.step()
        since, left = scheduler.cycle_after(epochs)
        assert optimizer.param_groups[0]["lr"] == pytest.approx((1 + cos(pi * since / (since + left))) / 2)


def test_a_loss_that_is_no_number_is_no_lower_one() -> None:
    run = run_of(optimizer={"sgd": {"lr": 1}}, scheduler={"reduce_on_plateau": {"patience": 0}})
    for loss, lr in ((1.0, 1), (float("nan"), 0.1), (0.5, 0.1)):
        run.take(STEPS_PER_EPOCH - 1)
        run.schedule.after_step()
        run.schedule.after_epoch(loss)
        assert run.schedule.lr == pytest.approx(lr)
        run.step = 0


def test_torch_says_nothing_of_how_it_is_used(recwarn: pytest.WarningsRecorder) -> None:
    for kind, written in ALL:
        run_of(scheduler={kind: written}, warmup={"steps": 3}).take(20)
    assert [str(warning.message) for warning in recwarn] == []
