"""Where the time of a training step goes, as a table, and which layer to attack."""

from builder.table import Column, Table
from builder.training.profile import PRODUCT_SIZE, LayerProfile, Pass, Profile

GIGA = 1e9

COLUMNS = (
    Column("layer"),
    Column("pass"),
    Column("ms", "right"),
    Column("share", "right"),
    Column("images/s", "right", drop=2),
    Column("GFLOP/s", "right", drop=1),
    Column("of ceiling", "right"),
)


def profile_table(profile: Profile) -> Table:
    """Each layer forward and backward, in the order in which they are computed, the whole step, and what to do."""
    rows = [
        ("" if index else layer.name, direction.value, *_figures(profile, each))
        for layer in profile.layers
        for index, (direction, each) in enumerate(layer.passes.items())
    ]
    totals = ("whole step", "", *_figures(profile, Pass(profile.seconds, profile.flops)))
    title = f"{profile.name}: a step of {profile.images:,} images, {profile.precision} on {profile.device}"
    return Table(COLUMNS, rows, totals, title, [_outside(profile), *_meaning(profile), _conclusion(profile)])


def _figures(profile: Profile, each: Pass) -> tuple[str, ...]:
    speed = of_ceiling = images = ""
    if each.seconds:  # else too short for the clock
        images = f"{profile.images / each.seconds:,.0f}"
    if each.seconds and each.flops:
        rate = each.flops / each.seconds
        speed, of_ceiling = f"{rate / GIGA:,.1f}", f"{rate / profile.ceiling:.0%}"
    return (_milliseconds(each.seconds), f"{each.seconds / profile.seconds:.1%}", images, speed, of_ceiling)


def _outside(profile: Profile) -> str:
    parts = ", ".join(f"{part.value} {_milliseconds(seconds)} ms" for part, seconds in profile.outside.items())
    return f"outside the layers: {parts}; together {sum(profile.outside.values()) / profile.seconds:.1%}"


def _meaning(profile: Profile) -> list[str]:
    steps = profile.step_seconds
    fastest, slowest = _milliseconds(min(steps)), _milliseconds(max(steps))
    notes = [
        f"times: medians over {len(steps)} steps, which took {fastest} to {slowest} ms",
        "GFLOP/s: 2 operations for each MAC forward; backward 4, or 2 where only one gradient is wanted",
        f"ceiling: {profile.ceiling / GIGA:,.0f} GFLOP/s, reached here by a product of two matrices of "
        f"{PRODUCT_SIZE}x{PRODUCT_SIZE} in {profile.precision}; algorithms that save operations may exceed it",
    ]
    if profile.is_compiled:
        notes.append("the layers are called one by one, as without `compile`")
    return notes


def _conclusion(profile: Profile) -> str:
    layer = profile.to_attack
    reached = (
        f"at {layer.flops / layer.seconds / profile.ceiling:.0%} of the ceiling" if layer.flops else "without any MACs"
    )
    return f"attack {layer.name} first: {_share(profile, layer)} {reached}, and no layer has more time to win"


def _share(profile: Profile, layer: LayerProfile) -> str:
    passes = ", ".join(
        f"{each.seconds / profile.seconds:.0%} {each_way.value}" for each_way, each in layer.passes.items()
    )
    return f"it takes {layer.seconds / profile.seconds:.0%} of the step ({passes})"


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:,.2f}"
