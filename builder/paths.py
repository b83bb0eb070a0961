"""The way to a value in a spec, `layers[3].conv2d.kernel_size`: written, read, followed."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from builder.problems import Place
from builder.source import ListNode, MapNode, Node

Step = str | int
Path = tuple[Step, ...]

_STEP = re.compile(r"\.?([$A-Za-z0-9_-]+)|\[([0-9]{1,6})\]")


def path_text(path: Sequence[Step]) -> str:
    """`("layers", 3, "conv2d")` is `layers[3].conv2d`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")


def parse_path(text: str) -> Path | None:
    """The steps of a written path, or None if it isn't one."""
    steps: list[Step] = []
    position = 0
    while position < len(text):
        match = _STEP.match(text, position)
        if match is None or (text[position] == ".") != (position > 0 and match[1] is not None):
            return None
        steps.append(match[1] if match[1] is not None else int(match[2]))
        position = match.end()
    return tuple(steps) if steps and isinstance(steps[0], str) else None


def where(place: Place, path: Path) -> str:
    """`on line 7`, or the way there if the command line wrote it."""
    return f"`{path_text(path)}`" if place.source.is_override else f"on line {place.line}"


@dataclass(frozen=True, slots=True)
class Found:
    """The node at the end of a path, and the place of the key that leads to it, if a key does."""

    node: Node
    key_place: Place | None

    @property
    def head(self) -> Place:
        """Where to point when the whole value is meant: at its key, or at an item of a list itself."""
        return self.key_place or self.node.place


def follow(root: Node, path: Path) -> Found:
    """The node at `path`, or the last one on the way there that exists."""
    found = Found(root, None)
    for step in path:
        node = found.node
        if isinstance(node, MapNode) and isinstance(step, str):
            entry = node.get(step)
            if entry is None:
                return found
            found = Found(entry.value, entry.key_place)
        elif isinstance(node, ListNode) and isinstance(step, int) and step < len(node.items):
            found = Found(node.items[step], None)
        else:
            return found
    return found
