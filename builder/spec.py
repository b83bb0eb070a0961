"""A spec file read and checked: everything that can be said without shapes.

`load_spec` goes through two stages, each complete in itself: the text (`source.py`), then fields and the rules between
them, in layers and recipe alike. Shapes are the third stage (`plan.py`).
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from os import PathLike
from pathlib import Path as FilePath
from typing import Any

import yaml

from builder.fields import RESERVED_NAMES, SPEC_NAME, matches
from builder.kinds import Kind, Misfit, OneOf, chosen, parameters
from builder.layers import LAYERS, Layer, Shape
from builder.overrides import apply_override
from builder.paths import Path, follow, path_text
from builder.problems import Place, Problem, Source, SpecError, errors, in_order, show
from builder.recipe import Recipe
from builder.source import MapNode, parse, read_file
from builder.source.scalars import resolve
from builder.validation import check_schema, plain_values


@dataclass(frozen=True)
class LayerSpec:
    """One item of `layers`: the layer, its name, and where it is written."""

    name: str
    layer: Layer
    path: Path
    place: Place
    is_named: bool

    @property
    def line(self) -> int | None:
        """The line in the spec; None if an override of the command line wrote the layer."""
        return None if self.place.source.is_override else self.place.line


@dataclass(frozen=True)
class Spec:
    """What a person wrote, read and checked; shapes are not known yet."""

    name: str
    input: Shape
    layers: tuple[LayerSpec, ...]
    recipe: Recipe | None
    source: Source
    text: bytes  # of the file, as it is
    root: MapNode
    problems: tuple[Problem, ...] = ()  # warnings

    def problem(self, misfit: Misfit, path: Path) -> Problem:
        """The misfit, at the place of its parameter, or of the whole value if that parameter isn't written."""
        return _problem(self.root, misfit, path)

    def require_recipe(self) -> Recipe:
        """The recipe, without which nothing can be trained.

        Raises:
            SpecError: the spec has no `training`.
        """
        if self.recipe is None:
            hint = "add `training` with a dataset, epochs, batch_size, loss and optimizer"
            raise SpecError([self.problem(Misfit("no-training", "the spec has no `training`", hint), ())])
        return self.recipe

    def resolved(self) -> str:
        """A spec of the same meaning with every default written out, as YAML."""
        lines = [f"name: {_inline(self.name)}", f"input: {_inline(list(self.input))}", "", "layers:"]
        lines += [f"  - {_inline(_written_layer(layer))}" for layer in self.layers]
        if self.recipe:
            written = self.recipe.written()
            lines += ["", "training:", *(f"  {key}: {_inline(value)}" for key, value in written.items())]
        return "\n".join(lines) + "\n"


class _Dumper(yaml.SafeDumper):
    """Puts quotes around text that YAML 1.1, or our own reading, takes for something else (`1e3`)."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if resolve(text) == text else "'")


_Dumper.add_representer(str, _text)


def _inline(value: Any) -> str:
    text = yaml.dump(value, Dumper=_Dumper, default_flow_style=True, width=2**31, sort_keys=False)
    return text.removesuffix("...\n").strip()


def _written_layer(item: LayerSpec) -> Any:
    arguments = ({"name": item.name} if item.is_named else {}) | item.layer.written()
    return {item.layer.kind: arguments} if arguments else item.layer.kind


def load_spec(path: str | PathLike[str], overrides: Sequence[str] = ()) -> Spec:
    """Read, check and resolve a spec.

    Args:
        path: a YAML file.
        overrides: changes to the tree as written, such as `training.epochs=3`.

    Raises:
        SpecError: the spec has errors; all of them are in it.
        UsageError: there is no such file, or it can't be read.
    """
    source, text = read_file(FilePath(path))
    return _read_spec(source, text, _overridden(_parsed_root(source), overrides))


def _parsed_root(source: Source) -> MapNode:
    root = parse(source)
    assert isinstance(root, MapNode)  # parse refuses any other root
    return root


def _overridden(root: MapNode, overrides: Sequence[str]) -> MapNode:
    problems: list[Problem] = []
    for argument in overrides:
        try:
            root = apply_override(root, argument)
        except SpecError as error:
            problems += error.problems
    if problems:
        raise SpecError(problems)
    return root


def _read_spec(source: Source, text: bytes, root: MapNode) -> Spec:
    data = plain_values(root)
    check = check_schema(root, data)
    # What can't be read: one layer (`layers`, 3), one field of the recipe, or a whole root key.
    refused = {path[:2] for path in check.refused}
    layers = list(_read_layers(data.get("layers"), root, refused))
    recipe, recipe_problems = _read_recipe(root, data.get("training"), refused)
    name, name_problems = _spec_name(root, data, source)
    problems = [*check.problems, *recipe_problems, *name_problems]
    problems += [_problem(root, misfit, item.path) for item in layers for misfit in item.layer.rules()]
    problems += _layer_name_problems(root, data.get("layers"))
    if not any(path[:1] == ("input",) for path in refused):
        problems += _input_problems(root, data.get("input"), recipe)
    problems = _without_repetitions(problems)
    if errors(problems):
        raise SpecError(problems)
    return Spec(name, tuple(data["input"]), tuple(layers), recipe, source, text, root, tuple(problems))


def _without_repetitions(problems: Iterable[Problem]) -> list[Problem]:
    """In the order of the text; what an alias repeats is one mistake."""
    return list({(problem.code, problem.place, problem.message): problem for problem in in_order(problems)}.values())


def _read_layers(items: Any, root: MapNode, refused: Set[Path]) -> Iterator[LayerSpec]:
    """The layers that can be read."""
    ordinals: Counter[str] = Counter()
    for index, item in enumerate(items if isinstance(items, list) else ()):
        path: Path = ("layers", index)
        if path in refused:
            continue
        kind, arguments = chosen(item)
        ordinals[kind] += 1
        given = arguments.pop("name", None)
        place = follow(root, path).node.place
        layer = LAYERS[kind].read(arguments)
        yield LayerSpec(given or f"{kind}_{ordinals[kind]}", layer, (*path, kind), place, given is not None)


def _layer_name_problems(root: MapNode, items: Any) -> Iterator[Problem]:
    """Names that torch keeps for itself, and names given twice; layers that can't be read have names too."""
    given: list[tuple[str, int, str]] = []
    taken: dict[str, int] = {}
    ordinals: Counter[str] = Counter()
    for index, item in enumerate(items if isinstance(items, list) else ()):
        kind = _kind_of(item)
        ordinals[kind] += 1
        name = item[kind].get("name") if isinstance(item, dict) and isinstance(item.get(kind), dict) else None
        if isinstance(name, str):
            given.append((name, index, kind))
        elif kind:
            taken[f"{kind}_{ordinals[kind]}"] = index
    for name, index, kind in given:
        path = ("layers", index, kind)
        if name in RESERVED_NAMES:
            hint = "torch keeps this name for every network; write another"
            yield _problem(root, Misfit("reserved-name", f"a layer can't be named `{name}`", hint, "name"), path)
        elif name in taken:
            other = _where(root, ("layers", taken[name]))
            message = f"`{name}` is also the name of the layer {other}"
            yield _problem(root, Misfit("duplicate-name", message, "write another name", "name"), path)
        taken.setdefault(name, index)


def _where(root: MapNode, path: Path) -> str:
    place = follow(root, path).node.place
    return f"`{path_text(path)}`" if place.source.is_override else f"on line {place.line}"


def _kind_of(item: Any) -> str:
    """The kind of an item that may be wrong in other ways; empty if that is not to be known."""
    kind = next(iter(item)) if isinstance(item, dict) and len(item) == 1 else item
    return kind if isinstance(kind, str) and kind in LAYERS else ""


def _problem(root: MapNode, misfit: Misfit, path: Path) -> Problem:
    steps: Path = (*path, *misfit.field.split(".")) if misfit.field else path
    found = follow(root, steps)
    # A parameter that isn't written has no place: follow stops at the kind, and its word is what to point at.
    place = found.node.place if misfit.field and _is_written(root, steps) else found.head
    return Problem(misfit.code, misfit.message, place, misfit.hint, path_text(steps), misfit.severity)


def _is_written(root: MapNode, path: Path) -> bool:
    """Whether every step of the path is."""
    parent = follow(root, path[:-1]).node
    return isinstance(parent, MapNode) and parent.get(str(path[-1])) is not None


def _read_recipe(root: MapNode, data: Any, refused: Set[Path]) -> tuple[Recipe | None, list[Problem]]:
    """The recipe, if its fields are all right, and what is wrong between them."""
    if not isinstance(data, dict):
        return None, []
    problems: list[Problem] = []
    for field in parameters(Recipe):
        choice = getattr(field.type, "other", field.type)
        if isinstance(choice, OneOf) and data.get(field.name) is not None and ("training", field.name) not in refused:
            kind: Kind = choice.canonical(data[field.name])
            problems += [_problem(root, misfit, ("training", field.name, kind.kind)) for misfit in kind.rules()]
    if errors(problems) or any(path[:1] == ("training",) for path in refused):
        return None, problems
    recipe = Recipe.read(data)
    return recipe, problems + [_problem(root, misfit, ("training",)) for misfit in recipe.rules()]


def _spec_name(root: MapNode, data: Any, source: Source) -> tuple[str, list[Problem]]:
    """The spec's name: the one given (which the schema has checked), or the file's without its ending."""
    if "name" in data:
        return data["name"], []
    stem = FilePath(source.name).stem
    if matches(SPEC_NAME, stem):
        return stem, []
    message = f"the file's name {show(stem)} can't name the spec"
    return "", [_problem(root, Misfit("wrong-value", message, f"add `name`: {SPEC_NAME.meaning}"), ())]


def _input_problems(root: MapNode, size: Any, recipe: Recipe | None) -> list[Problem]:
    if recipe is None or not isinstance(size, list) or tuple(size) == recipe.dataset.image:
        return []
    wanted = list(recipe.dataset.image)
    message = f"`input` is {show(size)}, and the images of {recipe.dataset.kind} are {show(wanted)}"
    return [_problem(root, Misfit("wrong-input", message, f"write {wanted}", "input"), ())]
