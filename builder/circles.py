"""An order in which things stand behind what they need, and those that come to themselves again."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

from builder.paths import Path, path_text
from builder.problems import Place, Problem, show

MAX_SHOWN_WAY = 8  # names of a circle

Spot = tuple[Place, Path]
Edge = tuple[str, Spot | None]  # to a name, and where it is named, if that is to be told


def walked(edges: Mapping[str, Iterable[Edge]]) -> tuple[list[str], list[tuple[list[str], Spot | None]]]:
    """The names such that each stands behind those that it leads to; and the circles, each with what closes it."""
    order: list[str] = []
    circles: list[tuple[list[str], Spot | None]] = []
    done: set[str] = set()
    way: dict[str, int] = {}  # to where the walk is; each name with its position
    for start in edges:
        stack = [] if start in done else [(start, iter(edges[start]))]
        way = dict.fromkeys([start], 0) if stack else {}
        while stack:
            name, rest = stack[-1]
            to, spot = next(rest, ("", None))
            if not to:
                stack.pop()
                del way[name]
                done.add(name)
                order.append(name)
            elif to in way:
                circles.append(([*islice(way, way[to], None), to], spot))
            elif to not in done:
                way[to] = len(way)
                stack.append((to, iter(edges[to])))
    return order, circles


def way_text(names: Sequence[str]) -> str:
    """`a` -> `b` -> `a`, however long the circle is."""
    shown = names if len(names) <= MAX_SHOWN_WAY else [*names[: MAX_SHOWN_WAY - 2], "", names[-1]]
    return " -> ".join(show(name) if name else "..." for name in shown)


def circular_block(names: Sequence[str], place: Place, path: Path) -> Problem:
    """A block that comes to itself again on this way, whose last step stands at the place."""
    message = f"block {show(names[0])} comes to itself again: {way_text(names)}"
    hint = "a block can't hold itself; `repeat` does the same several times"
    return Problem("circular-block", message, place, hint, path_text(path))
