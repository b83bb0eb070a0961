"""The lists of layers among the data of a spec: dicts, lists and values, be they right or wrong."""

from collections.abc import Iterator, Sequence
from typing import Any

from builder.computed import without_memory
from builder.layers.composites import COMPOSITES
from builder.paths import Path
from builder.source import MapNode, plain

PathAndLayers = tuple[Path, Sequence[Any]]


def plain_values(root: MapNode) -> Any:
    """The tree of a spec as data; a mapping is empty where nothing stands behind its key (`relu:`, `training:`)."""
    data = without_memory(plain(root))
    for _, layers in lists_of_layers(data):
        for item in layers:
            _fill_empty(item)
    if "training" in data and data["training"] is None:
        data["training"] = {}
    training = data.get("training")
    for choice in training.values() if isinstance(training, dict) else ():
        _fill_empty(choice)
    return data


def fill_empty_items(items: Any) -> None:
    """Make a mapping of what stands behind `relu:`, in a list of layers and in the lists inside it."""
    for _, layers in _lists_from(items, ()):
        for item in layers:
            _fill_empty(item)


def _fill_empty(choice: Any) -> None:
    if isinstance(choice, dict) and len(choice) == 1:
        ((kind, arguments),) = choice.items()
        choice[kind] = {} if arguments is None else arguments


def lists_of_layers(data: Any) -> Iterator[PathAndLayers]:
    """Every list of layers of a spec's data, with the way to it."""
    yield from _lists_from(data.get("layers"), ("layers",))
    blocks = data.get("blocks")
    for name, block in blocks.items() if isinstance(blocks, dict) else ():
        path = ("blocks", name)
        if not isinstance(block, dict):
            yield from _lists_from(block, path)
            continue
        yield from _lists_given(block.get("parameters"), (*path, "parameters"))
        yield from _lists_from(block.get("layers"), (*path, "layers"))


def _lists_from(items: Any, path: Path) -> Iterator[PathAndLayers]:
    """The list, if it is one, and those inside it."""
    if not isinstance(items, list):
        return
    yield path, items
    for index, item in enumerate(items):
        yield from _lists_inside(item, (*path, index))


def _lists_inside(item: Any, path: Path) -> Iterator[PathAndLayers]:
    """The lists that composites hold, and those that are given to blocks."""
    for word, value in item.items() if isinstance(item, dict) else ():
        if word in COMPOSITES:
            yield from _lists_from(value, (*path, word))
            for held in COMPOSITES[word].holds if isinstance(value, dict) else ():
                yield from _lists_from(value.get(held.name), (*path, word, held.name))
        elif word[:1].isupper():
            yield from _lists_given(value, (*path, word))


def _lists_given(arguments: Any, path: Path) -> Iterator[PathAndLayers]:
    """The lists of layers among arguments: those that hold a mapping."""
    for name, argument in arguments.items() if isinstance(arguments, dict) else ():
        if isinstance(argument, list) and any(isinstance(item, dict) for item in argument):
            yield from _lists_from(argument, (*path, name))
        else:
            yield from _lists_inside(argument, (*path, name))
