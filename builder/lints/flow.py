"""What feeds what: the layers of a plan in the order in which torch runs them, through groups and branches.

Rows are nested as the file is. Here a network is a graph: its nodes are the layers, and the places where the branches
of a composite meet.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import TypeVar

from builder.layers import Layer
from builder.layers.composites import LayerScale, Merge, Residual
from builder.plan import GroupRow, LayerRow, Plan, Row

OneLayer = TypeVar("OneLayer", bound=Layer)
Kinds = tuple[type[Layer], ...]


@dataclass(eq=False, slots=True)
class Node:
    """A layer, or a place where branches meet, and its neighbours; the image itself is no node.

    `in_branch` tells that there is another way around it.
    """

    row: Row
    layer: Layer | None  # None where branches meet
    position: int  # in the order in which torch runs them
    in_branch: bool
    before: list["Node"]
    takes_image: bool
    after: list["Node"] = field(default_factory=list)

    def is_one(self, kinds: Kinds) -> bool:
        """Whether it is a layer of one of these kinds."""
        return isinstance(self.layer, kinds)

    @property
    def name(self) -> str:
        return self.row.name

    def sources(self, through: Kinds) -> list["Node"]:
        """The nearest nodes before it, looking through layers of the kinds `through`."""
        return _nearest(self.before, lambda node: node.before, through)

    def targets(self, through: Kinds) -> list["Node"]:
        """The nearest nodes after it, looking through layers of the kinds `through`."""
        return _nearest(self.after, lambda node: node.after, through)


def _nearest(start: list[Node], neighbours: Callable[[Node], list[Node]], through: Kinds) -> list[Node]:
    found: dict[Node, None] = {}
    ahead = start[::-1]
    while ahead:
        node = ahead.pop()
        if node.is_one(through):
            ahead += neighbours(node)[::-1]
        else:
            found[node] = None
    return list(found)


class Flow:
    """The nodes of a plan, each after all that feed it, and `exits`: those that give the output."""

    def __init__(self, plan: Plan) -> None:
        self.nodes: list[Node] = []
        self._of_class: defaultdict[type[Layer], list[Node]] = defaultdict(list)
        self.exits = self._chain(plan.rows, [], False)

    def of(self, kinds: Kinds) -> list[Node]:
        """The nodes of layers of these kinds."""
        found = [nodes for cls, nodes in self._of_class.items() if issubclass(cls, kinds)]
        return sorted(chain(*found), key=lambda node: node.position) if len(found) > 1 else [*chain(*found)]

    def layers(self, kind: type[OneLayer]) -> Iterator[tuple[Node, OneLayer]]:
        """The nodes of a kind of layers, each with its layer."""
        for node in self.of((kind,)):
            assert isinstance(node.layer, kind)  # as asked for
            yield node, node.layer

    def tail(self, until: Kinds) -> Iterator[Node]:
        """The nodes from the output back to the first layer of the kinds `until`, as long as there is one way only."""
        ahead = self.exits
        while len(ahead) == 1:
            (node,) = ahead
            yield node
            if node.layer is None or node.is_one(until):
                return
            ahead = node.before

    def _chain(self, rows: Sequence[Row], feeds: list[Node], in_branch: bool) -> list[Node]:
        """Enter layers one after another; gives what leaves the last."""
        for row in rows:
            feeds = self._through(row, feeds, in_branch)
        return feeds

    def _through(self, row: Row, feeds: list[Node], in_branch: bool) -> list[Node]:
        if not isinstance(row, GroupRow):
            return [self._node(row, feeds, in_branch)]
        composite = row.composite
        if isinstance(composite, LayerScale):
            return [self._node(row, self._chain(row.rows, feeds, in_branch), in_branch)]
        if not isinstance(composite, Merge) or (isinstance(composite, Residual) and not composite.skip):
            return self._chain(row.rows, feeds, in_branch)
        arms = [self._through(arm, feeds, True) for arm in row.rows]
        if len(arms) == 1:
            arms.append(feeds)  # the way around is the identity
        meeting = self._node(row, [node for arm in arms for node in arm], in_branch)
        meeting.takes_image = [] in arms
        return [meeting]

    def _node(self, row: Row, feeds: list[Node], in_branch: bool) -> Node:
        layer = row.layer if isinstance(row, LayerRow) else None
        node = Node(row, layer, len(self.nodes), in_branch, feeds, takes_image=not feeds)
        for feed in feeds:
            feed.after.append(node)
        self.nodes.append(node)
        if layer is not None:
            self._of_class[type(layer)].append(node)
        return node
