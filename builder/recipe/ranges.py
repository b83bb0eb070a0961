"""What augmentations take as one number or as several: bounds of a draw, and pixels around an image."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf
from typing import Annotated, Any

from builder.fields import EachOf, FieldType, Integer, ListOf, Number, OrNull, Schema, schema_types
from builder.kinds import Misfit
from builder.limits import MAX_SIZE

MAX_DEVIATION = 1_000  # of a Gaussian, in pixels: its weights are held in memory, for each pixel along a side

_AXES = 2  # along the rows, and along the columns


@dataclass(frozen=True)
class Range(FieldType):
    """The least and the most of what is drawn, or one number: how far both lie from `around`.

    Canonically always both.
    """

    distance: Number
    bound: Number  # its minimum is also the least that a distance leads to
    around: float = 0.0

    def schema(self) -> Schema:
        one = self.distance.schema()
        return one | {
            "type": [*schema_types(one), "array"],
            "if": {"type": "array"},
            "then": {"$comment": "the least and the most", "items": self.bound.schema(), "minItems": 2, "maxItems": 2},
        }

    def canonical(self, value: Any) -> Any:
        if isinstance(value, list | tuple):
            return tuple(self.bound.canonical(number) for number in value)
        least, most = self.around - value, self.around + value
        return float(least if self.bound.minimum is None else max(self.bound.minimum, least)), float(most)

    def written(self, value: Any) -> Any:
        distance = round(value[1] - self.around, 9)
        largest = inf if self.distance.maximum is None else self.distance.maximum
        return distance if 0 <= distance <= largest and self.canonical(distance) == value else list(value)


@dataclass(frozen=True)
class RangePerAxis(FieldType):
    """A range along x, or one along x and then one along y, all in one list.

    Canonically always four numbers; three, for which the schema has no words, stay three.
    """

    along_x: Range

    def schema(self) -> Schema:
        fragment = self.along_x.schema()
        limits = {"items": fragment["then"]["items"], "minItems": 2, "maxItems": 2 * _AXES}
        return fragment | {"then": limits}

    def canonical(self, value: Any) -> Any:
        if isinstance(value, list | tuple) and len(value) > 2:
            return tuple(self.along_x.bound.canonical(number) for number in value)
        return (*self.along_x.canonical(value), self.along_x.around, self.along_x.around)

    def written(self, value: Any) -> Any:
        is_along_x = value[2:] == (self.along_x.around, self.along_x.around)
        return self.along_x.written(value[:2]) if is_along_x else list(value)


@dataclass(frozen=True)
class Border(FieldType):
    """Pixels around an image, in torchvision's order: on all sides, or left and right and above and below, or each.

    Canonically always left, above, right, below; three numbers, for which the schema has no words, stay three.
    """

    pixels: Integer

    def schema(self) -> Schema:
        one = self.pixels.schema()
        return one | {
            "type": [*schema_types(one), "array"],
            "if": {"type": "array"},
            "then": {"items": one, "minItems": 2, "maxItems": 2 * _AXES},
        }

    def canonical(self, value: Any) -> Any:
        pixels = tuple(value) if isinstance(value, list | tuple) else (value, value)
        return pixels * _AXES if len(pixels) == 2 else pixels

    def written(self, value: Any) -> Any:
        left, above = value[:2]
        if value != (left, above) * _AXES:
            return list(value)
        return left if left == above else [left, above]


Bounds = tuple[float, float]

_SHARES = ListOf(Number(minimum=0, maximum=1), 2, 2)
_FACTORS = ListOf(Number(above=0), 2, 2)
_SLANTS = Range(Number(minimum=0, below=90), Number(above=-90, below=90))
_RIGHT_AND_DOWN = ("right", "down")

Degrees = Annotated[Bounds, Range(Number(minimum=0, maximum=180), Number(minimum=-360, maximum=360))]
Deviations = Annotated[Bounds, EachOf(Number(minimum=0, maximum=MAX_DEVIATION), _RIGHT_AND_DOWN)]
Factors = Annotated[Bounds, _FACTORS]
Jitter = Annotated[Bounds, Range(Number(minimum=0), Number(minimum=0), around=1.0)]
Moves = Annotated[Bounds, EachOf(Number(minimum=0), _RIGHT_AND_DOWN)]
OptionalFactors = Annotated[Bounds | None, OrNull(_FACTORS)]
OptionalShares = Annotated[Bounds | None, OrNull(_SHARES)]
OptionalSlants = Annotated[tuple[float, float, float, float] | None, OrNull(RangePerAxis(_SLANTS))]
Shares = Annotated[Bounds, _SHARES]
Sides = Annotated[tuple[int, int, int, int], Border(Integer(0, MAX_SIZE))]


def most_turned(degrees: Bounds) -> float:
    """How far images are turned at most, either way: from 0 to 180 degrees."""
    least, most = degrees
    if any(least <= half_turn <= most for half_turn in (-180, 180)):
        return 180.0
    return max(min(end % 360, -end % 360) for end in degrees)


def backwards(field: str, written: Any) -> Iterator[Misfit]:
    """Bounds of which the first is above the second; of two axes, either pair."""
    numbers = written if isinstance(written, list) else []
    pairs = list(zip(numbers[::2], numbers[1::2], strict=False))
    wrong = next((pair for pair in pairs if pair[0] > pair[1]), None)
    if wrong:
        message = f"`{field}` goes from {wrong[0]:g} to {wrong[1]:g}, and holds nothing"
        right = ", ".join(f"{number:g}" for pair in pairs for number in sorted(pair))
        yield Misfit("empty-range", message, f"write [{right}]", field)


def three_numbers(field: str, numbers: Sequence[float]) -> Iterator[Misfit]:
    """What a schema can't say that takes a list of 2 or of 4."""
    if len(numbers) == 3:
        yield Misfit("wrong-length", f"`{field}` has 3 items", "write 2 or 4", field)
