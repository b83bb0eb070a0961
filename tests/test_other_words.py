"""Words of other frameworks: each means something that a spec has."""

from collections.abc import Mapping

import pytest

from builder.kinds import Kind, parameters
from builder.layers import LAYERS
from builder.layers.composites import COMPOSITES
from builder.other_words import KEYS, KINDS, elsewhere, field_of_kind, other_key, other_kind
from builder.recipe import Augmentation, Dataset, Initialiser, Loss, Optimizer, Recipe, Scheduler
from builder.recipe.averaging import Averaging
from builder.schema import net_schema
from builder.wording import kind_like

FAMILIES = (Augmentation, Averaging, Dataset, Initialiser, Loss, Optimizer, Scheduler)
TABLES: list[Mapping[str, type[Kind]]] = [LAYERS, COMPOSITES, *(family.table for family in FAMILIES)]


def test_every_key_that_is_meant_exists() -> None:
    known = {field.name for table in TABLES for cls in table.values() for field in parameters(cls)}
    known |= {field.name for field in parameters(Recipe)}
    known |= set(net_schema()["properties"])
    assert {key for keys in KEYS.values() for key in keys} <= known


def test_every_kind_that_is_meant_exists_and_is_no_word_of_ours() -> None:
    known = {kind for table in TABLES for kind in table}
    assert {kind for kinds in KINDS.values() for kind in kinds} <= known
    assert not set(KINDS) & known


def test_no_parameter_of_a_layer_is_taken_for_another_of_its_own() -> None:
    for cls in LAYERS.values():
        names = {field.name for field in parameters(cls)}
        assert all(other_key(name, names) in ("", name) for name in names), cls.kind


@pytest.mark.parametrize(
    ("word", "known", "meant"),
    [
        ("filters", ["out_channels"], "out_channels"),
        ("Filters", ["out_channels"], "out_channels"),
        ("out", ["out_features", "bias"], "out_features"),
        ("filters", ["out_features"], ""),
        ("out_chanels", ["out_channels"], ""),
    ],
)
def test_a_key_means_what_can_stand_where_it_was_found(word: str, known: list[str], meant: str) -> None:
    assert other_key(word, known) == meant


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        *[("Dense", "linear"), ("keras.layers.Dense", "linear"), ("GlobalAveragePooling2D", "adaptive_avg_pool2d")],
        *[("batch-normalization", "batch_norm2d"), ("nn.BatchNorm2d", "batch_norm2d"), ("Swish", "silu")],
    ],
)
def test_a_kind_is_known_by_its_letters(word: str, meant: str) -> None:
    assert kind_like(word, LAYERS) == meant


def test_a_kind_that_is_not_to_be_had_here_is_not_meant() -> None:
    assert other_kind("dense", Optimizer.table) == ""


def test_what_belongs_elsewhere_is_told_only_where_it_is_found() -> None:
    assert "layer of its own" in elsewhere("activation", ["out_channels", "bias"])
    assert elsewhere("activation", ["p"]) == ""
    assert "optimizer" in elsewhere("lr", ["optimizer", "epochs"])
    assert elsewhere("lr", ["momentum"]) == ""


def test_a_kind_as_a_key_of_a_recipe_is_told_where_it_is_chosen() -> None:
    keys = {field.name for field in parameters(Recipe)}
    assert elsewhere("ema", keys) == "it is an averaging: write `averaging: {ema: ...}`"
    assert elsewhere("one_cycle", keys) == "it is a scheduler: write `scheduler: {one_cycle: ...}`"
    assert elsewhere("mixup", keys) == "it is an augmentation: write `augmentations: [mixup: ...]`"
    assert elsewhere("adam", ["out_channels"]) == ""
    families = (Augmentation, Averaging, Dataset, Loss, Optimizer, Scheduler)
    assert all(field_of_kind(kind, keys) for family in families for kind in family.table)


def test_a_kind_of_several_meanings_is_the_one_that_can_stand_there() -> None:
    assert other_kind("Affine", LAYERS) == "linear"
    assert other_kind("Affine", Augmentation.table) == "random_affine"
