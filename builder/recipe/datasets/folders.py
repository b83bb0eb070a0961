"""Pictures of one's own, in folders that are named after their classes."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import Annotated, Any, ClassVar

from builder.fields import END, FieldType, Integer, ListOf, Schema, Text, parameter
from builder.kinds import Misfit
from builder.layers import Shape
from builder.limits import MAX_CLASSES, MAX_PATH, MAX_SIZE
from builder.problems import show
from builder.recipe.datasets.base import Dataset

CLASS_NAME = Text(
    rf"^[^./\\\x00-\x1f][^/\\\x00-\x1f]{{0,99}}{END}",
    100,
    "the name of a class is that of its folder: a text, in quotes if it is a number, of up to 100 characters without a "
    "slash and without a dot at its beginning",
)
FOLDER = Text(rf"^[^\x00-\x1f]+{END}", MAX_PATH, f"a folder is a path of up to {MAX_PATH:,} characters")
Image = Annotated[Shape, ListOf(Integer(1, MAX_SIZE), 3, 3)]


@dataclass(frozen=True)
class ClassNames(FieldType):
    """The names of classes, or their number, which stands for the names `0`, `1`, `2` and so on."""

    def schema(self) -> Schema:
        names = {"items": CLASS_NAME.schema(), "minItems": 2, "maxItems": MAX_CLASSES}
        number = {"minimum": 2, "maximum": MAX_CLASSES}
        return {"type": ["integer", "array"]} | number | {"if": {"type": "array"}, "then": names}

    def canonical(self, value: Any) -> Any:
        return _numbers(value) if isinstance(value, int) else tuple(value)

    def written(self, value: Any) -> Any:
        return len(value) if value == _numbers(len(value)) else list(value)


def _numbers(count: int) -> tuple[str, ...]:
    return tuple(str(number) for number in range(count))


class ImageFolder(Dataset, kind="image_folder"):
    """Pictures of your own, in the folders `<path>/train/<class>/` and `<path>/test/<class>/`.

    They may be of any size and of any usual format: their middle is cut out and scaled to `image`. A relative `path` is
    looked for below the data directories, then in the working directory. How many pictures there are is counted by the
    run; what depends on it is checked then.
    """

    path: Annotated[str, FOLDER] = parameter("the folder that holds `train` and `test`, such as pictures")
    image: Image = parameter("channels (1 is grey, 3 is colour), height and width, such as [3, 64, 64]")
    classes: Annotated[tuple[str, ...], ClassNames()] = parameter(
        "names of the classes, which are those of the folders, in the order of their labels; a number stands for "
        "folders named 0, 1, 2 ..., such as [cat, dog]"
    )

    num_train_stored: ClassVar = None
    num_test_stored: ClassVar = None

    @property
    def folder(self) -> PurePath:
        return PurePath(self.path)

    def rules(self) -> Iterator[Misfit]:
        yield from super().rules()
        if self.image[0] not in (1, 3):
            message = f"`image` has {self.image[0]} channels, and pictures have 1 (grey) or 3 (colour)"
            yield Misfit("wrong-value", message, "write 1 or 3 as its first number", "image")
        if ".." in self.folder.parts:
            message = "`path` leads upwards, out of the data directories"
            yield Misfit("path-upwards", message, "write it without `..`, or whole, from the root on", "path")
        ((name, count),) = Counter(self.classes).most_common(1)
        if count > 1:
            message = f"`classes` names {show(name)} {count} times"
            yield Misfit("duplicate-name", message, "write each class once", "classes")
