"""Which rows and columns of the image an output depends on: a pass from the end of a network to its beginning.

Along each axis a set of units is one whole number, a bit for each unit: a map may have thousands, and layers as many.
"""

from functools import lru_cache

from builder.geometry import AxisWindow
from builder.layers import Layer, Shape
from builder.layers.conv import SlidingConvolution
from builder.layers.padding import ReflectionPad2d
from builder.lints.flow import Flow, Node
from builder.plan import LayerRow

Units = int  # bit i: unit i
AxisUnits = tuple[Units, Units]  # of the height, of the width

MAX_RUNS = 4  # shown, of units one after another


class Reach:
    """The units of the image, and of the input of each node, that an output depends on."""

    def __init__(self, flow: Flow, image: tuple[int, int]) -> None:
        self._of_input: dict[Node, AxisUnits] = {}
        exits = set(flow.exits)
        of_image = [(0, 0)]
        for node in reversed(flow.nodes):
            wanted = [self._asked(node.row.out_shape, after) for after in node.after]
            if not wanted or node in exits:
                wanted.append(_all_of(node.row.out_shape))
            self._of_input[node] = needed_of_input(node, _united(wanted) if len(wanted) > 1 else wanted[0])
            if node.takes_image:
                of_image.append(self._asked((1, *image), node))
        height, width = _all_of((1, *image))
        seen = _united(of_image)
        self.lost = (height & ~seen[0], width & ~seen[1])

    def _asked(self, shape: tuple[int, ...], after: Node) -> AxisUnits:
        """What a node asks for of something of this shape before it; where that is repeated over a map, all of it."""
        taken = after.row.in_shape if after.layer else after.row.out_shape  # branches meet in the shape that they give
        return self._of_input[after] if shape[1:] == taken[1:] else _all_of(shape)


def needed_of_input(node: Node, output: AxisUnits) -> AxisUnits:
    """The units of a node's input that these units of its output depend on; rather too many than too few."""
    row = node.row
    if not isinstance(row, LayerRow):
        return output if len(row.out_shape) == 3 else _all_of(row.out_shape)
    if row.positions > 1:
        return output  # layers see single pixels
    if len(row.unit_shape) != 3 or len(row.out_shape) != 3:
        return _all_of(row.in_shape)
    return _needed_by(row.layer, row.unit_shape, row.out_shape, output)


def left_out(node: Node) -> AxisUnits:
    """The units of a node's input that no unit of its output depends on."""
    if len(node.row.in_shape) != 3:
        return 0, 0
    needed = needed_of_input(node, _all_of(node.row.out_shape))
    height, width = _all_of(node.row.in_shape)
    return height & ~needed[0], width & ~needed[1]


def units_text(units: Units) -> str:
    """`0, 3 to 5 and 27`, of many the first and how many more."""
    runs: list[str] = []
    indices = [index for index in range(units.bit_length()) if units >> index & 1]
    position = 0
    while position < len(indices):
        end = position
        while end + 1 < len(indices) and indices[end + 1] == indices[end] + 1:
            end += 1
        first, last = indices[position], indices[end]
        runs.append(str(first) if first == last else f"{first} to {last}" if last > first + 1 else f"{first}, {last}")
        position = end + 1
        if len(runs) == MAX_RUNS and position < len(indices):
            return f"{', '.join(runs)} and {len(indices) - position} more"
    return ", ".join(runs)


@lru_cache(maxsize=4096)
def _needed_by(layer: Layer, shape: Shape, out_shape: Shape, output: AxisUnits) -> AxisUnits:
    """The units of a map that a layer needs for these of the map that it gives."""
    if not layer.slides:
        return output if out_shape[1:] == shape[1:] and layer.mixes(shape) in ((), (0,)) else _all_of(shape)
    if _folds_back(layer):
        return _all_of(shape)
    sides = zip(layer.window(shape), shape[1:], output, strict=True)
    vertical, horizontal = (_needed(window, size, units) for window, size, units in sides)  # type: ignore[arg-type]
    return vertical, horizontal


def _folds_back(layer: Layer) -> bool:
    """Whether padding shows units of the map a second time."""
    is_convolution = isinstance(layer, SlidingConvolution) and layer.padding_mode in ("reflect", "circular")
    return is_convolution or isinstance(layer, ReflectionPad2d)


def _all_of(shape: Shape) -> AxisUnits:
    if len(shape) != 3:
        return 0, 0  # no map: whoever asks for a part of what comes before asks for all
    return (1 << shape[1]) - 1, (1 << shape[2]) - 1


def _united(several: list[AxisUnits]) -> AxisUnits:
    height, width = 0, 0
    for units in several:
        height, width = height | units[0], width | units[1]
    return height, width


@lru_cache(maxsize=4096)
def _needed(window: AxisWindow, size: int, output: Units) -> Units:
    """The input units, of `size`, that a window (they are frozen) touches from these output units."""
    needed = 0
    for index in range(window.output_size(size)):
        if output >> index & 1:
            needed |= _mask(window.touched(index, size))
    return needed & ((1 << size) - 1)


def _mask(touched: range) -> Units:
    if not touched:
        return 0
    pattern = _pattern(len(touched), touched.step)
    return pattern << touched[0] if touched[0] >= 0 else pattern >> -touched[0]


@lru_cache(maxsize=256)
def _pattern(count: int, step: int) -> Units:
    if step == 1:
        return (1 << count) - 1
    return sum(1 << step * index for index in range(count))
