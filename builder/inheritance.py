"""`extends: file.yaml`: a spec that says only how it differs from another one.

Mappings merge, lists are replaced whole. Where one kind of several is chosen (an optimizer, say), another kind replaces
it whole too.
"""

from dataclasses import replace
from pathlib import Path as FilePath

from builder.exits import UsageError
from builder.overrides import kinds_at
from builder.paths import Path
from builder.problems import Place, Problem, SpecError, show
from builder.source import Entry, MapNode, Node, Scalar, parse, read_file

EXTENDS = "extends"


def inherited(root: MapNode, spec_file: FilePath) -> MapNode:
    """The tree of a spec together with the one that it extends, if it does.

    Raises:
        SpecError: that one is not to be had, lies outside of the spec's folder, extends another, or is broken itself.
    """
    entry = root.get(EXTENDS)
    if entry is None or not isinstance(entry.value, Scalar) or not isinstance(entry.value.value, str):
        return root  # the schema tells of another value
    own = MapNode(tuple(other for other in root.entries if other is not entry), root.place)
    merged = _merged(_base(entry.value.value, entry.value.place, spec_file), own, ())
    assert isinstance(merged, MapNode)  # both are
    return merged


def _base(name: str, place: Place, spec_file: FilePath) -> MapNode:
    folder = spec_file.parent
    if not _is_below(folder, name):
        message = f"{show(name)} does not lie below the folder of this spec"
        raise _error(message, place, "a spec extends a file beside it, or in a folder there")
    try:
        source, _ = read_file(folder / name)
    except UsageError as error:
        raise _error(str(error), place, "a spec extends a file beside it, or in a folder there") from None
    base = parse(source)
    if base.get(EXTENDS):
        message = f"{show(name)} extends another spec itself"
        raise _error(message, place, "one level is all: put what both share into one file")
    return base


def _is_below(folder: FilePath, name: str) -> bool:
    """Whether the name leads to a file in the folder, or below it; links are followed."""
    try:
        return (folder / name).resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError):  # a name that can't be one, a circle of links
        return False


def _error(message: str, place: Place, hint: str) -> SpecError:
    return SpecError([Problem("wrong-base", message, place, hint, EXTENDS)])


def _merged(base: Node, own: Node, path: Path) -> Node:
    if not isinstance(base, MapNode) or not isinstance(own, MapNode):
        return own
    if kinds_at(path) and not any(base.get(entry.key) for entry in own.entries):
        return own
    entries = [_merged_entry(entry, own, path) for entry in base.entries]
    new = [entry for entry in own.entries if base.get(entry.key) is None]
    return MapNode((*entries, *new), own.place)


def _merged_entry(entry: Entry, own: MapNode, path: Path) -> Entry:
    changed = own.get(entry.key)
    if changed is None:
        return entry
    return replace(changed, value=_merged(entry.value, changed.value, (*path, entry.key)))
