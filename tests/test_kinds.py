"""A kind is a frozen class whose annotated fields are its parameters."""

import copy
import pickle
from dataclasses import FrozenInstanceError, dataclass
from typing import Annotated, Any, ClassVar

import pytest

from builder.fields import Integer, parameter
from builder.kinds import Kind, parameters
from builder.layers import LAYERS
from builder.layers.composites import COMPOSITES
from builder.layers.conv import Conv2d
from builder.recipe import Dataset, Loss, Optimizer, Scheduler

Count = Annotated[int, Integer(1, 9)]


class Base(Kind):
    """Has two parameters."""

    shared: ClassVar[int] = 3
    first: Count = parameter("the first")
    second: Count = parameter("the second", default=2)


class Derived(Base):
    """Has one more, and another default."""

    second: Count = parameter("the second", default=5)
    third: Count = parameter("the third", default=4)


def test_parameters_of_bases_come_first_and_keep_their_place_where_a_default_changes() -> None:
    assert [field.name for field in parameters(Derived)] == ["first", "second", "third"]
    assert vars(Derived(first=1)) == {"first": 1, "second": 5, "third": 4}
    assert vars(Base(first=1)) == {"first": 1, "second": 2}


def test_every_argument_takes_its_one_form() -> None:
    layer = Conv2d(out_channels=3, kernel_size=[3, 5])  # type: ignore[arg-type]  # as YAML gives it
    assert (layer.kernel_size, layer.stride) == ((3, 5), (1, 1))


def test_missing_and_unknown_arguments_are_named() -> None:
    with pytest.raises(TypeError, match=r"Base lacks \['first'\] and doesn't take \['fourth'\]"):
        Base(second=1, fourth=2)  # type: ignore[call-arg]


def test_nothing_can_be_assigned_or_deleted() -> None:
    kind: Any = Base(first=1)
    with pytest.raises(FrozenInstanceError, match="cannot assign to field 'first'"):
        kind.first = 2
    with pytest.raises(FrozenInstanceError, match="cannot assign to field 'other'"):
        kind.other = 2
    with pytest.raises(FrozenInstanceError, match="cannot delete field 'first'"):
        del kind.first


def test_equal_are_kinds_of_one_class_with_equal_arguments() -> None:
    assert Base(first=1) == Base(first=1, second=2)
    assert hash(Base(first=1)) == hash(Base(first=1, second=2))
    assert Base(first=1) != Base(first=2)
    assert Derived(first=1, second=2) != Base(first=1, second=2)
    assert len({LAYERS["relu"](), LAYERS["relu"](), LAYERS["tanh"]()}) == 2


def test_a_changed_kind_is_another_one() -> None:
    kind = Base(first=1)
    assert kind.changed(second=4) == Base(first=1, second=4)
    assert kind == Base(first=1)


def test_a_kind_shows_its_arguments_and_survives_a_copy() -> None:
    kind = Conv2d(out_channels=3, kernel_size=(3, 3))
    assert repr(kind).startswith("Conv2d(out_channels=3, kernel_size=(3, 3), stride=(1, 1)")
    assert pickle.loads(pickle.dumps(kind)) == copy.deepcopy(kind) == kind  # noqa: S301  # our own bytes


def test_a_field_that_says_nothing_is_refused() -> None:
    class Silent(Kind):
        """Forgets `parameter`."""

        size: Count = 3

    with pytest.raises(TypeError, match=r"Silent\.size is neither a `parameter` nor a `ClassVar`"):
        Silent()


def test_a_decorated_kind_is_refused() -> None:
    @dataclass
    class Decorated(Kind):
        """Would get an `__init__` that knows none of the parameters of its bases."""

    with pytest.raises(TypeError, match="Decorated must not be decorated"):
        parameters(Decorated)


@pytest.mark.parametrize("table", [LAYERS, COMPOSITES, Dataset.table, Loss.table, Optimizer.table, Scheduler.table])
def test_every_kind_knows_its_word(table: dict[str, type[Kind]]) -> None:
    assert all(cls.kind == kind for kind, cls in table.items())
