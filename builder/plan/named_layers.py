"""What a recipe says of single layers: which it names, how their weights begin, and which it keeps still.

A layer inside of others is named with theirs, as in `block1.bn2`: so torch names it too (`named_modules`).
"""

from collections.abc import Collection, Iterator, Mapping, Sequence

from builder.kinds import Misfit
from builder.layers import LAYERS
from builder.layers.composites import Residual, Split
from builder.paths import Path
from builder.plan.rows import GroupRow, LayerRow, Row
from builder.problems import Problem, did_you_mean, either, show
from builder.recipe.initialisation import Initialiser, Whitening, has_weights
from builder.spec import Spec
from builder.wording import listed

MAX_SHOWN_NAMES = 3  # of layers that a name may have meant


def by_name(rows: Sequence[Row], outer: str = "") -> Iterator[tuple[str, Row]]:
    """Every row, those inside of composites too, under the names that lead to it, joined by dots."""
    for row in rows:
        name = f"{outer}{row.name}"
        yield name, row
        yield from by_name(row.rows, f"{name}.")


def is_under(name: str, others: Collection[str]) -> bool:
    """Whether a layer, by the names that lead to it, is one of the others, or inside of one."""
    return any(f"{name}.".startswith(f"{other}.") for other in others)


def unknown_layer(name: str, names: Collection[str], also: Collection[str] = ()) -> Misfit:
    """A name that is that of no layer; `also` are other words that might stand there."""
    inside = [other for other in names if other.endswith(f".{name}")]
    hint = did_you_mean(name, [*names, *also]) or f"the layers are {listed(names)}"
    if inside:
        more = f", and {len(inside) - MAX_SHOWN_NAMES} more" if len(inside) > MAX_SHOWN_NAMES else ""
        hint = f"write the names that lead to it: {either([show(other) for other in inside[:MAX_SHOWN_NAMES]])}{more}"
    return Misfit("unknown-layer", f"no layer is named {show(name)}", hint)


# --------------------------------------------------------------------------------------------------- how weights begin


def initialisers(rows: Sequence[Row], written: Mapping[str, Initialiser]) -> dict[str, Initialiser]:
    """How the weights of each layer begin, by its name; one written for the layer goes before one for its kind."""
    found = {}
    for name, row in by_name(rows):
        initialiser = written.get(name) or written.get(row.kind)
        if initialiser and isinstance(row, LayerRow) and row.params:
            found[name] = initialiser
    return found


def initialisation_problems(spec: Spec, rows: Sequence[Row], written: Mapping[str, Initialiser]) -> Iterator[Problem]:
    """What is wrong with the initialisation of these layers."""
    if not written:
        return
    layers = dict(by_name(rows))
    on_image = dict(_on_image(rows))
    for key, initialiser in written.items():
        path: Path = ("training", "initialisation", key)
        meant = [key] if key in layers else [name for name, row in layers.items() if _is_of_kind(row, key)]
        misfit = _misfit_of_key(key, layers, meant)
        if misfit:
            yield spec.problem(misfit, path)
            continue
        for name in meant:
            if name != key and name in written:
                continue
            misfit = _misfit_of_layer(initialiser, name, layers[name], on_image)
            if misfit:
                yield spec.problem(misfit, (*path, initialiser.kind))
                break  # the others are the same mistake


def _is_of_kind(row: Row, kind: str) -> bool:
    return isinstance(row, LayerRow) and row.kind == kind and row.params > 0


def _misfit_of_key(key: str, layers: Mapping[str, Row], meant: Sequence[str]) -> Misfit | None:
    """What is wrong with what an initialisation is for."""
    row = layers.get(key)
    if isinstance(row, GroupRow):
        inside = [
            f"`{key}.{name}`" for name, inner in by_name(row.rows) if isinstance(inner, LayerRow) and inner.params
        ]
        hint = f"name one of them, such as {inside[0]}" if inside else "remove it: none of them has weights"
        return Misfit(
            "unfit-initialisation", f"`{key}` holds layers, and has no weights of its own to begin with", hint
        )
    if row and not row.params:
        return Misfit("unfit-initialisation", f"`{key}` ({row.kind}) has no weights", "remove it")
    if meant:
        return None
    if has_weights(key):
        return Misfit("without-effect", f"no layer of kind `{key}` has weights", "remove it", severity="warning")
    if key in LAYERS:
        return Misfit("unfit-initialisation", f"layers of kind `{key}` have no weights", "remove it")
    with_weights = {name: row for name, row in layers.items() if isinstance(row, LayerRow) and row.params}
    return unknown_layer(key, with_weights, {row.kind for row in with_weights.values()})


def _misfit_of_layer(initialiser: Initialiser, name: str, row: Row, on_image: Mapping[str, LayerRow]) -> Misfit | None:
    assert isinstance(row, LayerRow)  # the others are told before
    misfit = initialiser.check_layer(name, row.layer, row.unit_shape)
    if misfit or not isinstance(initialiser, Whitening) or name in on_image:
        return misfit
    message = f"`{initialiser.kind}` is for a layer that is given the images themselves, and `{name}` is not"
    first = next((f"`{other}`" for other, row in on_image.items() if isinstance(row.layer, initialiser.fits)), "")
    hint = f"write it for {first} by name" if first else "let a conv2d be the first layer"
    return Misfit("unfit-initialisation", message, hint)


def _on_image(rows: Sequence[Row], outer: str = "") -> Iterator[tuple[str, LayerRow]]:
    """The layers that are given the image itself, by name; several where branches begin."""
    for row in rows[:1]:
        name = f"{outer}{row.name}"
        if isinstance(row, LayerRow):
            yield name, row
        elif isinstance(row, GroupRow) and not isinstance(row.composite, Split):  # whose branches see a part of it
            are_arms = row.composite.is_branching or isinstance(row.composite, Residual)
            for arm in row.rows if are_arms else row.rows[:1]:
                yield from _on_image([arm], f"{name}.")


# ---------------------------------------------------------------------------------------------------- what keeps still


def freeze_problems(spec: Spec, rows: Sequence[Row], written: Sequence[str]) -> Iterator[Problem]:
    """What is wrong with the layers that are to keep still."""
    if not written:
        return
    layers = dict(by_name(rows))
    for index, name in enumerate(written):
        path: Path = ("training", "freeze", index)
        row = layers.get(name)
        if row is None:
            yield spec.problem(unknown_layer(name, layers), path)
        elif not row.params and not row.buffers:
            message = f"{show(name)} ({row.kind}) learns nothing anyway"
            yield spec.problem(Misfit("without-effect", message, "remove it", severity="warning"), path)
    if not _num_learning(rows, set(written)):
        message = "`freeze` keeps every layer still that could learn"
        misfit = Misfit("learns-nothing", message, "leave one out, such as the last", severity="warning")
        yield spec.problem(misfit, ("training", "freeze"))


def _num_learning(rows: Sequence[Row], frozen: Collection[str], outer: str = "") -> int:
    """Of the numbers that the rows can learn, how many still do."""
    count = 0
    for row in rows:
        name = f"{outer}{row.name}"
        if name in frozen:
            continue
        own = row.own_params if isinstance(row, GroupRow) else row.params
        count += own + _num_learning(row.rows, frozen, f"{name}.")
    return count


# ------------------------------------------------------------------------------------------ what learns at its own rate


def lr_factor_problems(
    spec: Spec, rows: Sequence[Row], written: Collection[str], frozen: Collection[str]
) -> Iterator[Problem]:
    """What is wrong with the layers that are to have a factor on the learning rate."""
    if not written:
        return
    layers = dict(by_name(rows))
    for name in written:
        path: Path = ("training", "parameter_groups", "lr_factors", name)
        row = layers.get(name)
        if row is None:
            yield spec.problem(unknown_layer(name, layers), path)
        elif not row.params:
            message = f"{show(name)} ({row.kind}) has nothing to learn"
            yield spec.problem(Misfit("without-effect", message, "remove it", severity="warning"), path)
        elif not _num_learning([row], frozen, name.removesuffix(row.name)) or is_under(name, frozen):
            message = f"{show(name)} ({row.kind}) learns nothing: `freeze` keeps it still"
            yield spec.problem(Misfit("without-effect", message, "remove it", severity="warning"), path)
