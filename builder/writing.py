"""A spec written anew: the same meaning, with every default written out."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import yaml

from builder.items import (
    FOR_FIELD,
    NAME_FIELD,
    TIMES_FIELD,
    WHEN_FIELD,
    Argument,
    Block,
    CallItem,
    GivenItem,
    GivenLayers,
    GroupItem,
    Item,
    LayerItem,
    RepeatItem,
)
from builder.kinds import Kind, parameters
from builder.layers import Shape
from builder.recipe import Budget, Recipe
from builder.source import Node, plain
from builder.source.scalars import resolve

INDENT = "  "


def spec_text(
    name: str,
    image: Shape,
    variables: Node | None,
    blocks: Mapping[str, Block],
    layers: Sequence[Item],
    recipe: Recipe | None,
    budget: Budget,
    allowed: Mapping[str, str],
) -> str:
    """The YAML of a spec; computed values stay as they are."""
    lines = [f"name: {_inline(name)}", f"input: {_inline(list(image))}"]
    if variables is not None:
        lines += ["", f"variables: {_inline(plain(variables))}"]
    if blocks:
        lines += ["", "blocks:"]
        lines += [INDENT + line for block in blocks.values() for line in _block_lines(block)]
    lines += ["", "layers:", *_indented(_list_lines(layers))]
    if recipe:
        lines += ["", "training:", *_indented(f"{key}: {_inline(value)}" for key, value in recipe.written().items())]
    bounds = {key: value for key, value in budget.written().items() if value is not None}
    lines += ["", f"budget: {_inline(bounds)}"] if bounds else []
    lines += ["", "lint:", f"{INDENT}allow: {_inline(dict(allowed))}"] if allowed else []
    return "\n".join(lines) + "\n"


class _Dumper(yaml.SafeDumper):
    """Puts quotes around text that YAML 1.1, or our own reading, takes for something else (`1e3`)."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if resolve(text) == text else "'")


_Dumper.add_representer(str, _text)


def _inline(value: Any) -> str:
    text = yaml.dump(value, Dumper=_Dumper, default_flow_style=True, width=2**31, sort_keys=False)
    return text.removesuffix("...\n").strip()


def _indented(lines: Iterable[str]) -> Iterator[str]:
    return (INDENT + line for line in lines)


def _block_lines(block: Block) -> Iterator[str]:
    """A block, with the lists of layers in it a line for each layer."""
    yield f"{block.name}:"
    parameters = {name: None if value is None else _argument(value) for name, value in block.parameters.items()}
    variables = {name: _argument(value) for name, value in block.variables.items()}
    for key, values in (("parameters", parameters), ("variables", variables)):
        if values:
            yield f"{INDENT}{key}: {_inline(values)}"
    yield f"{INDENT}layers:"
    yield from _indented(_indented(_list_lines(block.items)))


def _list_lines(items: Iterable[Item]) -> Iterator[str]:
    for item in items:
        if isinstance(item, GroupItem):
            yield f"- {item.word}:"
            yield from _indented(_indented(_group_lines(item)))
        else:
            yield f"- {_inline(_written(item))}"


def _group_lines(item: GroupItem) -> Iterator[str]:
    fields = _written(item)[item.word]
    for key, value in fields.items():
        if item.lists.get(key):
            yield f"{key}:"
            yield from _indented(_list_lines(item.lists[key]))
        else:
            yield f"{key}: {_inline(value)}"


def _argument(argument: Argument) -> Any:
    return [_written(item) for item in argument.items] if isinstance(argument, GivenLayers) else plain(argument)


def _written(item: Item) -> Any:
    if isinstance(item, GivenItem):
        return item.scalar.value
    name = {NAME_FIELD: item.given_name} if item.given_name else {}
    when = {} if item.when is None else {WHEN_FIELD: item.when.value}
    fields = name | when | _fields(item)
    return {item.word: fields} if fields else item.word


def _fields(item: Item) -> dict[str, Any]:
    if isinstance(item, LayerItem):
        return _parameters(item.cls, item.layer, item.arguments)
    if isinstance(item, CallItem):
        return {name: _argument(value) for name, value in item.arguments.items()}
    assert isinstance(item, GroupItem)  # there are no other items
    lists = {name: [_written(inner) for inner in items] for name, items in item.lists.items()}
    if isinstance(item, RepeatItem):
        times = {} if item.times is None else {TIMES_FIELD: plain(item.times)}
        values = {name: plain(node) for name, node in item.lists_of_values.items()}
        return times | ({FOR_FIELD: values} if values else {}) | lists
    return _parameters(item.cls, item.composite, item.arguments) | lists


def _parameters(cls: type[Kind], made: Kind | None, arguments: Mapping[str, Node]) -> dict[str, Any]:
    """All parameters of a kind: those written, and the defaults of the others."""
    if made is not None:
        return made.written()
    return {
        parameter.name: plain(arguments[parameter.name])
        if parameter.name in arguments
        else parameter.type.written(parameter.type.canonical(parameter.default))
        for parameter in parameters(cls)
    }
