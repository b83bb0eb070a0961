"""A spec file read and checked: everything that can be said without shapes.

`load_spec` goes through two stages, each complete in itself: the text (`source`), then fields, names and the rules
between them, in layers and recipe alike. Shapes are the third stage (`plan`).
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path as FilePath
from typing import Any

from builder.computed import Names, computed_below, evaluated, read_expression, with_computed
from builder.expressions import Value
from builder.fields import RESERVED_NAMES, SPEC_NAME, matches
from builder.inheritance import EXTENDS, inherited
from builder.items import Block, GivenLayers, GroupItem, Item, LayerItem, Reader, RepeatItem, with_all_below
from builder.kinds import Misfit, parameters
from builder.layers import LAYERS, Shape
from builder.layers.composites import COMPOSITES
from builder.lists import lists_of_layers, plain_values
from builder.overrides import apply_override
from builder.paths import Path, follow, parse_path, path_text, where
from builder.problems import Problem, Source, SpecError, errors, in_order, show
from builder.recipe import Budget, Recipe
from builder.scopes import OF_BLOCK, ScopeCheck, constants, lacks_value, repeat_misfits, wrong_expressions_of_constants
from builder.source import STDIN, MapNode, Node, Scalar, parse, read_file, read_stdin
from builder.validation import check_schema
from builder.writing import spec_text

COMPUTED_AT_ONCE = ("input", "training", "budget")  # only the file's constants can stand in them


@dataclass(frozen=True)
class Spec:
    """What a person wrote, read and checked; shapes are not known yet."""

    name: str
    input: Shape
    layers: tuple[Item, ...]
    recipe: Recipe | None
    budget: Budget
    allowed: Mapping[str, str]  # the codes of lints that say nothing here, and the reasons
    source: Source
    text: bytes  # of the file, as it is
    root: MapNode
    constants: Mapping[str, Value]  # the top-level variables
    blocks: Mapping[str, Block]
    orders: Mapping[str, tuple[str, ...]]  # of each block: its defaults and variables, each behind those that it uses
    counts_calls: bool  # whether anything is computed from `block_index` or `block_count`
    problems: tuple[Problem, ...] = ()  # warnings

    def problem(self, misfit: Misfit, path: Path) -> Problem:
        """The misfit, at the place of its parameter, or of the whole value if that parameter isn't written."""
        return _problem(self.root, misfit, path)

    def writes(self, path: Path) -> bool:
        """Whether the value at this path is written, and no default."""
        return _is_written(self.root, path)

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
        variables = self.root.get("variables")
        return spec_text(
            self.name,
            self.input,
            variables.value if variables else None,
            self.blocks,
            self.layers,
            self.recipe,
            self.budget,
            self.allowed,
        )


def load_spec(path: str | PathLike[str], overrides: Sequence[str] = ()) -> Spec:
    """Read, check and resolve a spec.

    Args:
        path: a YAML file, or "-" for standard input.
        overrides: changes to the tree as written, such as `training.epochs=3`.

    Raises:
        SpecError: the spec has errors; all of them are in it.
        UsageError: there is no such file, or it can't be read.
    """
    source, text = read_stdin() if path == "-" else read_file(FilePath(path))
    return _Reading(_root(source, FilePath(path), overrides), source).spec(text)


def check_base(path: str | PathLike[str]) -> Sequence[Problem]:
    """What is wrong with a spec that others extend, and that may be incomplete (its name starts with `_`).

    Raises:
        SpecError: its text has errors.
        UsageError: there is no such file, or it can't be read.
    """
    source, _ = read_file(FilePath(path))
    return _Reading(_root(source, FilePath(path), ()), source, is_base=True).problems


def _root(source: Source, path: FilePath, overrides: Sequence[str]) -> MapNode:
    """The tree of a spec, after `extends` and the overrides; one of `extends` itself comes first."""
    of_base = [override for override in overrides if override.partition("=")[0].strip() == EXTENDS]
    others = [override for override in overrides if override not in of_base]
    return _overridden(inherited(_overridden(parse(source), of_base), path), others)


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


class _Reading:
    """One pass over the tree of a spec, that collects all its problems."""

    def __init__(self, root: MapNode, source: Source, is_base: bool = False) -> None:
        self.source = source
        variables = _mapping(root, "variables")
        self.constants, problems = constants(variables)
        self.root, more = _with_constants(root, self.constants)
        self.data = plain_values(self.root)
        check = check_schema(self.root, self.data)
        # What can't be read: one field of the recipe, or a whole root key.
        self.refused = {path[:2] for path in (*check.refused, *more)}
        blocks = self.data.get("blocks")
        reader = Reader(check.refused, blocks if isinstance(blocks, dict) else {})
        self.blocks = dict(self._read_blocks(reader))
        layers = self.root.get("layers")
        self.layers = reader.items(layers.value if layers else None, ("layers",))
        scopes = ScopeCheck(variables, self.blocks)
        self.orders = {name: scopes.order_of(block) for name, block in self.blocks.items()}
        self.recipe, recipe_problems = _read_recipe(self.root, self.data.get("training"), self.refused)
        problems += [problem for found in more.values() for problem in found]
        problems += [*check.problems, *reader.problems, *scopes.problems(self.layers)]
        problems += [*recipe_problems, *self._rule_problems(), *self._name_problems()]
        self.name, name_problems = ("", []) if is_base else _spec_name(self.root, self.data, source)
        problems += name_problems
        if not any(path[:1] == ("input",) for path in self.refused):
            problems += _input_problems(self.root, self.data.get("input"), self.recipe)
        is_whole = not is_base and root.get(EXTENDS) is None  # still there, it is wrong, and nothing was inherited
        self.problems = _without_repetitions(problem for problem in problems if is_whole or not _is_left_open(problem))

    def spec(self, text: bytes) -> Spec:
        """The spec. Raises `SpecError` if it has errors."""
        if errors(self.problems):
            raise SpecError(self.problems)
        return Spec(
            name=self.name,
            input=tuple(self.data["input"]),
            layers=self.layers,
            recipe=self.recipe,
            budget=Budget.read(self.data.get("budget") or {}),
            allowed=self.data.get("lint", {}).get("allow", {}),
            source=self.source,
            text=text,
            root=self.root,
            constants=self.constants,
            blocks=self.blocks,
            orders=self.orders,
            counts_calls=self._counts_calls(),
            problems=tuple(self.problems),
        )

    def _read_blocks(self, reader: Reader) -> Iterator[tuple[str, Block]]:
        blocks = _mapping(self.root, "blocks")
        for entry in blocks.entries if blocks else ():
            path = ("blocks", entry.key)
            yield entry.key, reader.block(entry.key, entry.value, entry.key_place, path)

    def _all_items(self) -> Iterator[Item]:
        yield from with_all_below(self.layers)
        for block in self.blocks.values():
            yield from with_all_below(block.items)
            for value in (*block.parameters.values(), *block.variables.values()):
                if isinstance(value, GivenLayers):
                    yield from with_all_below(value.items)

    def _rule_problems(self) -> Iterator[Problem]:
        """Rules between parameters that are written, and not computed."""
        for item in self._all_items():
            misfits: Iterable[Misfit] = ()
            if isinstance(item, LayerItem) and item.layer:
                misfits = item.layer.rules()
            elif isinstance(item, RepeatItem) and not item.is_refused:
                misfits = repeat_misfits(item)
            elif isinstance(item, GroupItem) and item.composite:
                misfits = item.composite.rules()
            for misfit in misfits:
                yield _problem(self.root, misfit, item.path)

    def _name_problems(self) -> Iterator[Problem]:
        for path, items in lists_of_layers(self.data):
            yield from _layer_name_problems(self.root, items, path)

    def _counts_calls(self) -> bool:
        blocks = self.root.get("blocks")
        scalars = computed_below(blocks.value, ("blocks",)) if blocks else ()
        return any(name in OF_BLOCK for node, path in scalars for name, _, _ in read_expression(node, path).names)


def _mapping(root: MapNode, key: str) -> MapNode | None:
    entry = root.get(key)
    return entry.value if entry and isinstance(entry.value, MapNode) else None


def _is_left_open(problem: Problem) -> bool:
    """Whether the rest of an incomplete spec may still give what is missing: mappings merge, and lists don't."""
    is_in_list = "[" in problem.path
    return problem.code in ("unknown-name", "unknown-block") or (problem.code == "missing-key" and not is_in_list)


def _with_constants(root: MapNode, constants: Mapping[str, Value]) -> tuple[MapNode, dict[Path, list[Problem]]]:
    """The tree with values in place of what is computed in `input` and `training`; by its path, what has none, and why.

    A constant whose own value can't be told was reported where it is given.
    """
    wrong: dict[Path, list[Problem]] = {}

    def value_of_constants(scalar: Scalar, path: Path) -> Node:
        problems = list(wrong_expressions_of_constants(scalar, path, constants))
        if not problems and not lacks_value(scalar, constants):
            try:
                return evaluated(scalar, Names(constants), path)
            except SpecError as error:
                problems = list(error.problems)
        wrong[path] = problems
        return scalar

    entries = [
        replace(entry, value=with_computed(entry.value, (entry.key,), value_of_constants))
        if entry.key in COMPUTED_AT_ONCE
        else entry
        for entry in root.entries
    ]
    return MapNode(tuple(entries), root.place), wrong


def _without_repetitions(problems: Iterable[Problem]) -> list[Problem]:
    """In the order of the text; what an alias repeats is one mistake."""
    return list({(problem.code, problem.place, problem.message): problem for problem in in_order(problems)}.values())


def _layer_name_problems(root: MapNode, items: Sequence[Any], path: Path) -> Iterator[Problem]:
    """Names that torch keeps for itself, and names given twice; layers that can't be read have names too."""
    given: list[tuple[str, int, str]] = []
    taken: dict[str, int] = {}
    ordinals: Counter[str] = Counter()
    for index, item in enumerate(items):
        word = _word_of(item)
        ordinals[word] += 1
        name = item[word].get("name") if isinstance(item, dict) and isinstance(item.get(word), dict) else None
        if isinstance(name, str):
            given.append((name, index, word))
        elif word:
            taken[f"{word}_{ordinals[word]}"] = index
    for name, index, word in given:
        place = (*path, index, word)
        if name in RESERVED_NAMES:
            hint = "torch keeps this name for every network; write another"
            yield _problem(root, Misfit("reserved-name", f"a layer can't be named `{name}`", hint, "name"), place)
        elif name in taken:
            other = (*path, taken[name])
            message = f"`{name}` is also the name of the layer {where(follow(root, other).node.place, other)}"
            yield _problem(root, Misfit("duplicate-name", message, "write another name", "name"), place)
        taken.setdefault(name, index)


def _word_of(item: Any) -> str:
    """The kind or block of an item that may be wrong in other ways; empty if that is not to be known."""
    word = next(iter(item)) if isinstance(item, dict) and len(item) == 1 else item
    is_known = isinstance(word, str) and (word in LAYERS or word in COMPOSITES or word[:1].isupper())
    return word if is_known else ""


def _problem(root: MapNode, misfit: Misfit, path: Path) -> Problem:
    steps = (*path, *(parse_path(misfit.field) or ()))
    found = follow(root, steps)
    # A parameter that isn't written has no place: follow stops at the kind, and its word is what to point at.
    place = found.node.place if misfit.field and _is_written(root, steps) else found.head
    return Problem(misfit.code, misfit.message, place, misfit.hint, path_text(steps), misfit.severity)


def _is_written(root: MapNode, path: Path) -> bool:
    """Whether every step of the path is."""
    parent = follow(root, path[:-1]).node
    return isinstance(parent, MapNode) and parent.get(str(path[-1])) is not None


def _read_recipe(root: MapNode, data: Any, refused: Set[Path]) -> tuple[Recipe | None, list[Problem]]:
    """The recipe, if its fields can be read, and what is wrong within its kinds and between them."""
    if not isinstance(data, dict):
        return None, []
    problems: list[Problem] = []
    wrong_kinds: list[Path] = []
    for field in parameters(Recipe):
        path: Path = ("training", field.name)
        if field.name not in data or path in refused:
            continue
        for steps, kind in field.type.kinds(field.type.canonical(data[field.name])):
            found = [_problem(root, misfit, (*path, *steps)) for misfit in kind.rules()]
            wrong_kinds += [(*path, *steps)] if errors(found) else []
            problems += found
    if any(path[:1] == ("training",) for path in refused):
        return None, problems
    recipe = Recipe.read(data)
    for misfit in recipe.rules():
        path = ("training", *(parse_path(misfit.field) or ()))
        if not any(path[: len(kind_path)] == kind_path for kind_path in wrong_kinds):  # else one mistake, told twice
            problems.append(_problem(root, misfit, ("training",)))
    return recipe, problems


def _spec_name(root: MapNode, data: Any, source: Source) -> tuple[str, list[Problem]]:
    """The spec's name: the one given (which the schema has checked), or the file's without its ending."""
    if "name" in data:
        return data["name"], []
    stem = "stdin" if source.name == STDIN else FilePath(source.name).stem
    if matches(SPEC_NAME, stem):
        return stem, []
    message = f"the file's name {show(stem)} can't name the spec"
    return "", [_problem(root, Misfit("wrong-value", message, f"add `name`: {SPEC_NAME.meaning}"), ())]


def _input_problems(root: MapNode, size: Any, recipe: Recipe | None) -> list[Problem]:
    if recipe is None or not isinstance(size, list) or tuple(size) == recipe.dataset.image:
        return []
    if any(misfit.severity == "error" for misfit in recipe.dataset.rules()):
        return []  # its own image may be wrong
    wanted = list(recipe.dataset.image)
    message = f"`input` is {show(size)}, and the images of {recipe.dataset.kind} are {show(wanted)}"
    return [_problem(root, Misfit("wrong-input", message, f"write {wanted}", "input"), ())]
