"""Augmentations: each against a plain reference, with the range of its draws, its seeding and its resuming."""

import io
import math
from typing import Any

import pytest
import torch
from augmentation_reference import REFERENCES, mixup, reference
from jsonschema import Draft7Validator
from torch import Generator, Tensor
from torch.nn import functional as F  # noqa: N812  # its usual name
from torchvision.transforms.v2 import functional as torchvisions

from builder import load_spec, make_plan
from builder.kinds import parameters, required_names
from builder.lints import remarks
from builder.recipe import Augmentation
from builder.recipe.ranges import MAX_DEVIATION, most_turned
from builder.training.augmentation import Augmentations
from builder.transforms import contrasted, displaced, smoothed, symmetric_beta, warped

# Of each kind, parameters to compare with; the first of each are those that other tests take.
CASES: dict[str, list[dict[str, Any]]] = {
    "random_rotation": [
        {"degrees": 30},
        {"degrees": 180, "fill": 0.4},
        {"degrees": 75.5, "interpolation": "bilinear"},
        {"degrees": 10, "interpolation": "bilinear", "fill": 1},
        {"degrees": [20, 90], "interpolation": "bilinear", "fill": 0.2},
    ],
    "random_affine": [
        {"degrees": 20, "translate": [0.1, 0.3], "scale": [0.7, 1.4], "shear": 30},
        {"degrees": 0, "translate": [0.5, 0]},
        {"degrees": 0, "scale": [0.5, 2], "interpolation": "bilinear", "fill": 0.3},
        {"degrees": 0, "shear": 60, "interpolation": "bilinear"},
        {"degrees": 90, "translate": [1, 1], "scale": [0.2, 3], "shear": 45, "interpolation": "bilinear", "fill": 0.5},
        {"degrees": [-10, 80], "shear": [0, 40], "interpolation": "bilinear"},
        {"degrees": 30, "shear": [-40, 10, 15, 50], "interpolation": "bilinear"},
        {"degrees": 0, "shear": [0, 0, -30, 30], "interpolation": "bilinear"},
    ],
    "random_translate": [{"translate": [0.25, 0.1]}, {"translate": [1, 1], "fill": 0.7}, {"translate": [0, 0.5]}],
    "random_crop": [
        {"padding": 3},
        {"padding": 1, "fill": 0.5},
        {"padding": 4, "padding_mode": "edge"},
        {"padding": 5, "padding_mode": "reflect"},
        {"padding": [1, 4], "fill": 0.8},
        {"padding": [0, 1, 3, 5], "padding_mode": "edge"},
    ],
    "random_horizontal_flip": [{}, {"p": 0.2}, {"p": 1}],
    "random_vertical_flip": [{}, {"p": 0.8}, {"p": 1}],
    "random_erasing": [
        {},
        {"p": 1, "value": "random"},
        {"p": 0.9, "scale": [0.8, 1], "ratio": [0.9, 1.1], "value": 0.5},
        {"p": 1, "scale": [0, 0.1], "ratio": [3, 3]},
    ],
    "cutout": [{"size": 4}, {"size": 1}, {"size": 7}],
    "elastic_transform": [
        {},
        {"alpha": 120, "sigma": 2, "interpolation": "nearest"},
        {"alpha": 9, "sigma": 0, "fill": 0.6},
        {"alpha": 30, "sigma": 0.7},
        {"alpha": [90, 10], "sigma": [0.6, 2]},
        {"alpha": [0, 70], "sigma": [2, 0]},
    ],
    "color_jitter": [
        {"brightness": 0.4, "contrast": 0.6},
        {"brightness": 1.5},
        {"contrast": 2},
        {"brightness": [0.3, 0.9], "contrast": [0, 0.5]},
        {"contrast": [1.5, 1.5]},
    ],
    "gaussian_noise": [{}, {"mean": 0.3, "sigma": 0}, {"mean": -0.2, "sigma": 0.5}],
    "mixup": [{}, {"alpha": 0.2}, {"alpha": 7}],
}  # fmt: skip
SHAPES = [(6, 1, 12, 12), (4, 3, 16, 10), (1, 2, 9, 11)]
CLASSES = 10
ALL = [(kind, written) for kind, cases in CASES.items() for written in cases]
FIRST = {kind: cases[0] for kind, cases in CASES.items()}
UNMIXED = [kind for kind in CASES if kind != "mixup"]


def some_images(*shape: int) -> Tensor:
    return torch.rand(shape, generator=Generator().manual_seed(11))


def some_labels(n: int) -> Tensor:
    return torch.randint(CLASSES, (n,), generator=Generator().manual_seed(12))


def made(kind: str, written: dict[str, Any] | None = None) -> Augmentation:
    cls: type[Augmentation] = Augmentation.table[kind]
    return cls.read(FIRST[kind] if written is None else written)


def pipeline(*kinds: Augmentation, seed: int = 0) -> Augmentations:
    return Augmentations(kinds, CLASSES, Generator().manual_seed(seed))


def augmented(kind: Augmentation, images: Tensor, seed: int = 0) -> Tensor:
    return pipeline(kind, seed=seed)(images, some_labels(len(images)))[0]


def test_every_augmentation_has_cases_and_a_reference() -> None:
    assert set(CASES) == set(Augmentation.table), "add the augmentation to tests/test_augmentations.py"
    assert {*REFERENCES, "mixup"} == set(Augmentation.table), "add it to tests/augmentation_reference.py"


# --- against the reference ---


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(("kind", "written"), [case for case in ALL if case[0] != "mixup"], ids=str)
def test_an_augmentation_does_what_its_reference_does(
    kind: str, written: dict[str, Any], shape: tuple[int, ...]
) -> None:
    images = some_images(*shape)
    augmentation = made(kind, written)
    expected = reference(kind, images, augmentation.written(), Generator().manual_seed(5))
    assert torch.allclose(augmented(augmentation, images, seed=5), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("kind", "written"),
    [
        ("random_rotation", {"degrees": 75, "interpolation": "bilinear"}),
        ("random_affine", {"degrees": 0, "scale": [0.3, 0.6]}),
        ("random_translate", {"translate": [0.5, 0.5]}),
        ("random_crop", {"padding": [3, 4]}),
        ("random_erasing", {"p": 1}),
        ("elastic_transform", {"alpha": 200, "sigma": 2}),
    ],
    ids=str,
)
def test_an_augmentation_fills_each_channel_with_its_own_number(kind: str, written: dict[str, Any]) -> None:
    images = some_images(5, 3, 16, 10)
    augmentation = made(kind, written | {"value" if kind == "random_erasing" else "fill": [0.9, 0, 0.4]})
    expected = reference(kind, images, augmentation.written(), Generator().manual_seed(5))
    assert torch.allclose(augmented(augmentation, images, seed=5), expected, atol=1e-4)


@pytest.mark.parametrize("n", [1, 7])
@pytest.mark.parametrize("written", CASES["mixup"], ids=str)
def test_mixup_does_what_its_reference_does(written: dict[str, Any], n: int) -> None:
    images, labels = some_images(n, 2, 5, 4), some_labels(n)
    augmentation = made("mixup", written)
    one_hot = F.one_hot(labels, CLASSES)
    expected = mixup(images, one_hot, augmentation.written()["alpha"], Generator().manual_seed(5))
    for found, wanted in zip(pipeline(augmentation, seed=5)(images, labels), expected, strict=True):
        assert found.dtype == torch.float32
        assert torch.allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_turns_shifts_scales_and_slants_are_those_of_torchvision(interpolation: str) -> None:
    images = F.pad(some_images(5, 3, 12, 8), (6, 6, 6, 6))  # torchvision blends with the fill twice; here it is 0
    ends = ((-40, 60), (0.6, 1.3), (-20, 30), (25, -15))
    angles, scales, slants, leans = (torch.linspace(low, high, 5) for low, high in ends)
    moves = torch.tensor([[0, 0], [1, 2], [-2, 0], [3, -1], [0, 1]])
    found = warped(images, angles, moves, scales, slants, leans, interpolation=interpolation, fill=(0.0,))
    for index, image in enumerate(images):
        expected = torchvisions.affine(
            image,
            angle=angles[index].item(),
            translate=moves[index].tolist(),
            scale=scales[index].item(),
            shear=[slants[index].item(), leans[index].item()],
            interpolation=torchvisions.InterpolationMode(interpolation),
        )
        assert torch.allclose(found[index], expected, atol=1e-4)


def test_a_range_of_degrees_turns_the_way_that_torchvision_does() -> None:
    """Its rotation turns counter-clockwise, its affine clockwise."""
    images = some_images(3, 1, 13, 13)
    mode = torchvisions.InterpolationMode.BILINEAR
    written = {"degrees": [25, 25], "interpolation": "bilinear"}
    rotated = torchvisions.rotate(images, 25, mode)
    assert torch.allclose(augmented(made("random_rotation", written), images), rotated, atol=1e-4)
    sheared = torchvisions.affine(images, 25, [0, 0], 1.0, [10.0, -20.0], mode)
    written = written | {"shear": [10, 10, -20, -20]}
    assert torch.allclose(augmented(made("random_affine", written), images), sheared, atol=1e-4)


def test_a_crop_pads_in_the_order_of_torchvision() -> None:
    image = some_images(1, 1, 6, 6)
    for padding in ([1, 2], [0, 1, 2, 3], 2):
        around = torchvisions.pad(image, padding)
        every = {tuple(part.flatten().tolist()) for part in around.unfold(2, 6, 1).unfold(3, 6, 1).reshape(-1, 36)}
        found = augmented(made("random_crop", {"padding": padding}), image.expand(500, -1, -1, -1))
        assert {tuple(part.tolist()) for part in found.flatten(1)} == every


def test_displacements_and_contrast_are_those_of_torchvision() -> None:
    images = some_images(1, 3, 14, 14)
    moves = some_images(1, 2, 14, 14) * 4 - 2
    in_half_sides = (moves * 2 / 14).permute(0, 2, 3, 1)
    expected = torchvisions.elastic(images, in_half_sides, torchvisions.InterpolationMode.NEAREST)
    assert torch.equal(displaced(images, moves, interpolation="nearest", fill=(0.0,)), expected)
    assert torch.allclose(contrasted(images, torch.tensor([1.7])), torchvisions.adjust_contrast(images, 1.7), atol=1e-5)


# --- what holds for all ---


@pytest.mark.parametrize(("kind", "written"), ALL, ids=str)
def test_pixels_stay_between_0_and_1_and_the_batch_that_is_given_as_it_was(kind: str, written: dict[str, Any]) -> None:
    images, labels = some_images(8, 3, 32, 20), some_labels(8)
    before = images.clone()
    found, targets = pipeline(made(kind, written))(images, labels)
    assert torch.equal(images, before)
    assert found.shape == images.shape
    assert found.dtype == torch.float32
    assert found.min() >= -1e-6
    assert found.max() <= 1 + 1e-6
    assert targets is labels or kind == "mixup"


@pytest.mark.parametrize("kind", CASES)
def test_every_image_of_a_batch_has_a_draw_of_its_own(kind: str) -> None:
    written = {"p": 1} if kind == "random_erasing" else FIRST[kind]
    copies = some_images(1, 1, 28, 28).expand(64, -1, -1, -1)
    images = some_images(64, 1, 28, 28) if kind == "mixup" else copies
    found = augmented(made(kind, written), images)
    least = 2 if "flip" in kind else 30
    assert len(found.flatten(1).unique(dim=0)) >= least


@pytest.mark.parametrize("kind", CASES)
def test_the_same_state_gives_the_same_images_and_another_seed_others(kind: str) -> None:
    images = some_images(16, 1, 28, 28)
    assert torch.equal(augmented(made(kind), images, seed=3), augmented(made(kind), images, seed=3))
    assert not torch.equal(augmented(made(kind), images, seed=3), augmented(made(kind), images, seed=4))


def test_torchs_own_random_numbers_are_left_alone() -> None:
    before = torch.get_rng_state()
    pipeline(*map(made, CASES))(some_images(4, 1, 28, 28), some_labels(4))
    assert torch.equal(torch.get_rng_state(), before)


IDENTITIES = [
    (kind, dict.fromkeys(Augmentation.table[kind].strength, 0)) for kind in CASES if Augmentation.table[kind].strength
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(("kind", "nothing"), IDENTITIES, ids=str)
def test_without_strength_every_image_stays_as_it_is_and_that_is_told(
    kind: str, nothing: dict[str, Any], shape: tuple[int, ...]
) -> None:
    lists = {"translate": [0, 0]} if "translate" in nothing else {}
    augmentation = made(kind, FIRST[kind] | nothing | lists | ({"scale": None} if "scale" in nothing else {}))
    images = some_images(*shape)
    assert torch.allclose(augmented(augmentation, images), images, atol=1e-5)
    (misfit,) = augmentation.rules()
    assert (misfit.code, misfit.severity) == ("without-effect", "warning")
    assert list(made(kind).rules()) == []


@pytest.mark.parametrize(
    ("kind", "written"),
    [
        ("random_rotation", {"degrees": [0, 0]}),
        ("random_affine", {"degrees": [0, 0], "shear": [0, 0, 0, 0]}),
        ("random_crop", {"padding": [0, 0]}),
        ("elastic_transform", {"alpha": [0, 0]}),
        ("color_jitter", {"brightness": [1, 1], "contrast": 0}),
    ],
)
def test_ranges_without_strength_are_told_too(kind: str, written: dict[str, Any]) -> None:
    images = some_images(4, 1, 12, 12)
    augmentation = made(kind, written)
    assert torch.allclose(augmented(augmentation, images), images, atol=1e-5)
    assert [misfit.code for misfit in augmentation.rules()] == ["without-effect"]


@pytest.mark.parametrize(("kind", "written"), ALL, ids=str)
def test_what_is_written_out_reads_the_same(kind: str, written: dict[str, Any]) -> None:
    augmentation = made(kind, written)
    assert type(augmentation).read(augmentation.written()) == augmentation


@pytest.mark.parametrize(
    ("kind", "field", "written", "shortest"),
    [
        ("random_rotation", "degrees", [-10, 10], 10),
        ("random_rotation", "degrees", [-10, 20], [-10, 20]),
        ("random_rotation", "degrees", [-200, 200], [-200, 200]),  # a single number ends at 180
        ("random_affine", "shear", [-5, 5, 0, 0], 5),
        ("random_affine", "shear", [0, 5, 0, 0], [0, 5]),
        ("random_affine", "shear", [-5, 5, -5, 5], [-5, 5, -5, 5]),
        ("random_crop", "padding", [2, 2, 2, 2], 2),
        ("random_crop", "padding", [2, 3, 2, 3], [2, 3]),
        ("random_crop", "padding", [2, 3, 2, 4], [2, 3, 2, 4]),
        ("color_jitter", "brightness", [0.8, 1.2], 0.2),
        ("color_jitter", "brightness", [0, 3], 2),
        ("color_jitter", "contrast", [0.5, 0.9], [0.5, 0.9]),
        ("elastic_transform", "alpha", [3, 3], 3),
        ("random_translate", "fill", [0.5], 0.5),
    ],
)
def test_what_is_written_out_is_as_short_as_it_can_be(kind: str, field: str, written: Any, shortest: Any) -> None:
    augmentation = made(kind, FIRST[kind] | {field: written})
    (declared,) = [item for item in parameters(type(augmentation)) if item.name == field]
    assert Draft7Validator(declared.schema()).is_valid(augmentation.written()[field])
    assert augmentation.written()[field] == shortest
    assert augmentation == made(kind, FIRST[kind] | {field: shortest})


# --- ranges ---

MANY = 3000


def dot(right: int = 0, down: int = 0, side: int = 41) -> Tensor:
    """An image, many times, that is black but for a dot beside its centre."""
    image = torch.zeros(1, 1, side, side)
    image[..., side // 2 + down, side // 2 + right] = 1
    return image.expand(MANY, -1, -1, -1)


def centroids(images: Tensor) -> Tensor:
    """Where the light of each image lies, to the right of the centre and below it: (n, 2)."""
    places = torch.arange(images.shape[-1]) - images.shape[-1] // 2
    weights = images[:, 0] / images.sum(dim=(1, 2, 3))[:, None, None]
    return torch.stack([(weights.sum(1) * places).sum(1), (weights.sum(2) * places).sum(1)], dim=1)


def spans(found: Tensor, low: float, high: float, within: float) -> bool:
    """Whether the numbers fill the range, and evenly: its ends and its quarters are where they should be."""
    wanted = torch.linspace(low, high, 5)
    quarters = torch.quantile(found.float(), torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0]))
    slack = torch.tensor([within, (high - low) / 20, (high - low) / 20, (high - low) / 20, within])
    return bool(((quarters - wanted).abs() <= slack).all())


@pytest.mark.parametrize("degrees", [10, 90, 180])
@pytest.mark.parametrize("kind", ["random_rotation", "random_affine"])
def test_an_image_is_turned_by_all_angles_up_to_its_degrees(kind: str, degrees: int) -> None:
    found = centroids(augmented(made(kind, {"degrees": degrees, "interpolation": "bilinear"}), dot(right=16)))
    assert spans(torch.atan2(found[:, 1], found[:, 0]).rad2deg(), -degrees, degrees, within=2)
    assert found.norm(dim=1).sub(16).abs().max() < 0.2


@pytest.mark.parametrize("degrees", [[-10, 20], [30, 90], [-180, 0], [0, 135]])
@pytest.mark.parametrize("kind", ["random_rotation", "random_affine"])
def test_an_image_is_turned_by_all_angles_of_a_range(kind: str, degrees: list[float]) -> None:
    found = centroids(augmented(made(kind, {"degrees": degrees, "interpolation": "bilinear"}), dot(right=16)))
    clockwise = torch.atan2(found[:, 1], found[:, 0]).rad2deg()
    least, most = degrees
    assert spans(-clockwise if kind == "random_rotation" else clockwise, least, most, within=2)


@pytest.mark.parametrize("kind", ["random_translate", "random_affine"])
def test_an_image_is_shifted_by_all_whole_pixels_up_to_its_shares(kind: str) -> None:
    written: dict[str, Any] = {"translate": [0.1, 0.2]}
    found = centroids(augmented(made(kind, written | ({"degrees": 0} if kind == "random_affine" else {})), dot()))
    assert found[:, 0].unique().tolist() == pytest.approx(range(-4, 5))  # 0.1 of 41 is 4.1
    assert found[:, 1].unique().tolist() == pytest.approx(range(-8, 9))
    assert found.mean(dim=0).abs().max() < 0.3


def test_a_crop_lies_at_all_places_alike() -> None:
    found = centroids(augmented(made("random_crop", {"padding": 3}), dot()))
    for along in found.T:
        values, counts = along.unique(return_counts=True)
        assert values.tolist() == pytest.approx(range(-3, 4))
        assert counts.min() > 0.8 * MANY / 7


def test_an_image_is_scaled_by_all_factors_of_its_range() -> None:
    written = {"degrees": 0, "scale": [0.5, 1.5], "interpolation": "bilinear"}
    assert spans(centroids(augmented(made("random_affine", written), dot(right=10)))[:, 0], 5, 15, within=0.1)


def test_upright_lines_are_slanted_by_all_angles_up_to_shear() -> None:
    written = {"degrees": 0, "shear": 40, "interpolation": "bilinear"}
    found = centroids(augmented(made("random_affine", written), dot(down=-10)))
    assert found[:, 1].add(10).abs().max() < 1e-3
    assert spans((found[:, 0] / 10).atan().rad2deg(), -40, 40, within=1)


def test_level_lines_are_slanted_by_all_angles_of_the_second_range_of_shear() -> None:
    written = {"degrees": 0, "shear": [0, 0, -15, 40], "interpolation": "bilinear"}
    found = centroids(augmented(made("random_affine", written), dot(right=10)))
    assert found[:, 0].sub(10).abs().max() < 1e-3
    assert spans((-found[:, 1] / 10).atan().rad2deg(), -15, 40, within=1)


@pytest.mark.parametrize("kind", ["random_horizontal_flip", "random_vertical_flip", "random_erasing"])
def test_what_has_a_probability_happens_as_often(kind: str) -> None:
    image = dot(right=5, down=5) + 0.1
    found = augmented(made(kind, {"p": 0.3}), image)
    is_changed = (found != image).flatten(1).any(dim=1)
    assert is_changed.float().mean() == pytest.approx(0.3, abs=0.03)


def test_erased_rectangles_have_all_areas_and_ratios_of_their_ranges_and_lie_everywhere() -> None:
    white = torch.ones(MANY, 1, 60, 60)
    is_black = augmented(made("random_erasing", {"p": 1, "scale": [0.1, 0.3], "ratio": [0.5, 2]}), white)[:, 0] == 0
    assert spans(is_black.float().mean(dim=(1, 2)), 0.1, 0.3, within=0.01)
    heights, widths = is_black.any(dim=2).sum(dim=1), is_black.any(dim=1).sum(dim=1)
    assert torch.equal(heights * widths, is_black.sum(dim=(1, 2)))
    assert spans((heights / widths).log(), math.log(0.5), math.log(2), within=0.1)
    assert is_black.float().mean(dim=0).min() > 0


@pytest.mark.parametrize("shape", [(1, 1, 12, 12), (1, 1, 28, 28), (1, 1, 10, 40), (1, 1, 31, 7)], ids=str)
@pytest.mark.parametrize("ratio", [0.1, 0.3, 0.97, 1, 1.5, 3.3, 12])
def test_a_rectangle_that_never_fits_leaves_the_image_whole_and_is_told(ratio: float, shape: tuple[int, ...]) -> None:
    white = torch.ones(shape)
    told_at = []
    for share in torch.linspace(0.05, 1, 39).tolist():
        erasing = made("random_erasing", {"p": 1, "scale": [share, share], "ratio": [ratio, ratio]})
        found = list(erasing.check_images(shape[1:]))
        is_whole = torch.equal(augmented(erasing, white), white)
        assert [misfit.code for misfit in found] == (["without-effect"] if is_whole else [])
        told_at += [share for _ in found]
    assert told_at  # at least at 1


def test_a_rectangle_that_never_fits_is_told_with_its_sides_and_what_would_fit() -> None:
    written = {"scale": [0.98, 1], "ratio": [0.3, 3.3]}
    (misfit,) = made("random_erasing", written).check_images((3, 28, 28))
    assert (misfit.field, misfit.severity) == ("scale", "warning")
    assert misfit.message == (
        "`random_erasing` changes no image: 0.98 of 28x28 pixels, at a ratio of 1, is a rectangle of 28x28, and it has "
        "to be lower and narrower than the image"
    )
    assert misfit.hint == "let `scale` begin at 0.96 or less, or remove it"
    assert list(made("random_erasing", written | {"scale": [0.96, 1]}).check_images((3, 28, 28))) == []
    assert list(made("random_erasing", written | {"p": 0}).check_images((3, 28, 28))) == []  # told once
    for ratio in (1e-300, 5e-324, 1e300):
        (misfit,) = made("random_erasing", {"ratio": [ratio, ratio]}).check_images((3, 28, 28))
        assert (misfit.field, misfit.hint) == ("ratio", "write a `ratio` nearer to 1, or remove it")


def test_the_centre_of_a_cutout_lies_on_every_pixel_alike() -> None:
    white = torch.ones(MANY, 1, 8, 6)
    counts = (augmented(made("cutout", {"size": 1}), white) == 0).sum(dim=(0, 1))
    assert counts.sum() == MANY
    assert counts.min() > 0.5 * MANY / 48
    whole = (augmented(made("cutout", {"size": 3}), white) == 0).sum(dim=(1, 2, 3))
    assert whole.unique().tolist() == [4, 6, 9]  # in a corner, at a side, inside


def test_brightness_and_contrast_take_all_factors_of_their_ranges() -> None:
    grey = torch.full((MANY, 1, 2, 2), 0.4)
    assert spans(augmented(made("color_jitter", {"brightness": 0.5}), grey).mean(dim=(1, 2, 3)) / 0.4, 0.5, 1.5, 0.01)
    two = torch.tensor([0.4, 0.6]).view(1, 1, 1, 2).expand(MANY, 1, 1, 2)
    found = augmented(made("color_jitter", {"contrast": 2}), two)
    assert spans((found[..., 1] - found[..., 0]) / 0.2, 0, 3, within=0.01)
    assert torch.allclose(found.mean(dim=3), torch.tensor(0.5))
    darker = augmented(made("color_jitter", {"brightness": [0.2, 0.7]}), grey)
    assert spans(darker.mean(dim=(1, 2, 3)) / 0.4, 0.2, 0.7, 0.01)


def test_noise_has_its_mean_and_deviation() -> None:
    grey = torch.full((100, 1, 28, 28), 0.5)
    noise = augmented(made("gaussian_noise", {"mean": 0.05, "sigma": 0.1}), grey) - grey
    assert noise.mean().item() == pytest.approx(0.05, abs=0.002)
    assert noise.std().item() == pytest.approx(0.1, abs=0.002)


def test_elastic_moves_are_as_large_and_as_smooth_as_they_should_be() -> None:
    """Uniform noise of deviation 1/sqrt(3) under a Gaussian has 1/sqrt(3) / (2 sqrt(pi) sigma), times alpha / 2."""
    ramp = torch.arange(64.0).expand(200, 1, 64, 64) / 64  # shows how far to the right a pixel comes from
    moves = (augmented(made("elastic_transform", {"alpha": 60, "sigma": 4}), ramp) - ramp)[..., 20:44, 20:44] * 64
    assert moves.std().item() == pytest.approx(60 / 2 / math.sqrt(3) / (2 * math.sqrt(math.pi) * 4), rel=0.05)
    beside = torch.stack([moves[..., :-4].flatten(), moves[..., 4:].flatten()])
    assert torch.corrcoef(beside)[0, 1].item() == pytest.approx(math.exp(-(4**2) / (4 * 4**2)), abs=0.05)


@pytest.mark.parametrize("sigma", [0, 1e-200, 1e-9, 0.1])
def test_noise_under_a_gaussian_within_a_pixel_stays_what_it_is(sigma: float) -> None:
    noise = torch.rand(2, 5, 6)
    assert torch.equal(smoothed(noise, (sigma, sigma)), noise)


def test_noise_under_the_widest_gaussian_is_next_to_none() -> None:
    widest = (MAX_DEVIATION, MAX_DEVIATION)
    assert smoothed(torch.rand(2, 28, 28) * 2 - 1, widest).std(dim=(1, 2)).max() < 1e-3


@pytest.mark.parametrize(
    ("share", "side", "most"), [(1, 28, "0.96"), (0.99, 28, "0.96"), (1, 1, "0"), (0.5, 1, ""), (0.96, 28, "")]
)
def test_a_shift_leaves_something_of_an_image(share: float, side: int, most: str) -> None:
    """Half a pixel is rounded to none."""
    for kind, translate, shape in (
        ("random_translate", [share, 0], (1, 99, side)),
        ("random_affine", [0, share], (3, side, 99)),
    ):
        needed = {"degrees": 0} if kind == "random_affine" else {}
        found = made(kind, {**needed, "translate": translate}).check_images(shape)
        assert [misfit.hint for misfit in found] == ([f"write at most {most}"] if most else [])


BETAS = {
    0.5: lambda x: 2 / math.pi * x.sqrt().asin(),
    1.0: lambda x: x,
    2.0: lambda x: 3 * x**2 - 2 * x**3,
}


@pytest.mark.parametrize("alpha", BETAS)
def test_shares_of_mixup_follow_their_distribution(alpha: float) -> None:
    n = 20_000
    shares = symmetric_beta(torch.empty(n), alpha, Generator().manual_seed(1)).sort().values
    distance = (BETAS[alpha](shares) - torch.linspace(0, 1, n)).abs().max()
    assert distance < 1.95 / math.sqrt(n)  # Kolmogorov and Smirnov, at 0.1%


@pytest.mark.parametrize("alpha", [1e-6, 0.01, 0.3, 50.0, 1e6])
def test_shares_of_mixup_are_finite_and_as_wide_as_they_should_be(alpha: float) -> None:
    shares = symmetric_beta(torch.empty(20_000), alpha, Generator().manual_seed(1))
    assert shares.min() >= 0
    assert shares.max() <= 1
    assert shares.mean().item() == pytest.approx(0.5, abs=0.01)
    assert shares.var().item() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.05)


# --- all together ---


def test_augmentations_come_one_after_another_from_one_generator() -> None:
    images, labels = some_images(9, 1, 28, 28), some_labels(9)
    kinds = [made(kind) for kind in CASES]
    generator = Generator().manual_seed(2)
    expected, targets = images, F.one_hot(labels, CLASSES).float()
    for kind in kinds:
        expected, targets = kind.augment(expected, targets, generator)
    found = Augmentations(kinds, CLASSES, Generator().manual_seed(2))(images, labels)
    assert torch.equal(found[0], expected)
    assert torch.equal(found[1], targets)


def test_labels_stay_labels_unless_images_are_mixed() -> None:
    images, labels = some_images(9, 1, 8, 8), some_labels(9)
    _, targets = pipeline(*map(made, ("random_crop", "gaussian_noise")))(images, labels)
    assert targets.dtype == torch.int64
    _, mixed = pipeline(*map(made, ("mixup", "random_crop", "mixup")))(images, labels)
    assert mixed.shape == (9, CLASSES)
    assert torch.allclose(mixed.sum(dim=1), torch.ones(9))


def test_a_batch_of_one_is_mixed_with_itself() -> None:
    images, labels = some_images(1, 1, 8, 8), some_labels(1)
    found, targets = pipeline(made("mixup"))(images, labels)
    assert torch.equal(found, images)
    assert torch.equal(targets, F.one_hot(labels, CLASSES).float())


def test_draws_resume_where_the_state_was_taken_and_the_state_is_plain() -> None:
    images, labels = some_images(7, 1, 28, 28), some_labels(7)
    first = pipeline(*map(made, CASES))
    first(images, labels)
    saved = io.BytesIO()
    torch.save(first.state_dict(), saved)
    expected = [first(images, labels) for _ in range(3)]
    resumed = pipeline(*map(made, CASES), seed=99)
    saved.seek(0)
    resumed.load_state_dict(torch.load(saved, weights_only=True))
    for wanted in expected:
        assert all(torch.equal(found, one) for found, one in zip(resumed(images, labels), wanted, strict=True))


# --- what is said of them ---

SPEC = """\
input: {image}
layers: [flatten, linear: {{out_features: {classes}}}]
training:
  dataset: {dataset}
  augmentations: [{augmentation}]
  epochs: 1
  batch_size: 50
  loss: cross_entropy
  optimizer: adam
"""


def told(augmentation: str, dataset: str, folder: Any, image: str = "[1, 28, 28]", classes: int = 10) -> list[str]:
    path = folder / "spec.yaml"
    text = SPEC.format(augmentation=augmentation, dataset=dataset, image=image, classes=classes)
    path.write_text(text, encoding="utf-8")
    return [problem.code for problem in remarks(make_plan(load_spec(path)))]


@pytest.mark.parametrize(
    ("augmentation", "dataset", "is_told"),
    [
        ("random_horizontal_flip", "mnist", True),
        ("random_vertical_flip", "mnist_sample", True),
        ("random_horizontal_flip", "kmnist", True),
        ("random_vertical_flip", "fashion_mnist", True),
        ("random_horizontal_flip", "fashion_mnist", False),
        ("random_rotation: {degrees: 45}", "mnist", False),
        ("random_rotation: {degrees: 46}", "mnist", True),
        ("random_affine: {degrees: 90}", "mnist", True),
        ("random_affine: {degrees: 10, shear: 20}", "mnist", False),
        ("random_rotation: {degrees: 45}", "fashion_mnist", False),
        ("random_rotation: {degrees: 180}", "fashion_mnist", True),
        ("random_rotation: {degrees: [-45, 10]}", "mnist", False),
        ("random_rotation: {degrees: [-46, 10]}", "mnist", True),
        ("random_affine: {degrees: [330, 360]}", "mnist", False),
        ("random_affine: {degrees: [0, 360]}", "mnist", True),
    ],
)
def test_flips_and_turns_are_told_where_the_class_does_not_survive_them(
    augmentation: str, dataset: str, is_told: bool, tmp_path: Any
) -> None:
    assert told(augmentation, dataset, tmp_path) == (["class-changing-augmentation"] if is_told else [])


@pytest.mark.parametrize(
    ("degrees", "most"),
    [
        ((-10, 20), 20), ((-30, 20), 30), ((0, 360), 180), ((-200, -170), 180), ((300, 330), 60), ((350, 360), 10),
        ((-360, -300), 60), ((170, 170), 170), ((190, 190), 170), ((0, 0), 0),
    ],
)  # fmt: skip
def test_the_most_that_an_image_is_turned_by_is_told_either_way(degrees: tuple[float, float], most: float) -> None:
    angles = torch.linspace(*degrees, 1001, dtype=torch.float64).deg2rad()
    assert most_turned(degrees) == most
    assert torch.atan2(angles.sin(), angles.cos()).abs().rad2deg().max().item() == pytest.approx(most, abs=0.1)


def test_pictures_of_your_own_may_be_turned_as_you_like(tmp_path: Any) -> None:
    flips = "random_horizontal_flip, random_vertical_flip, random_rotation: {degrees: 180}"
    assert told(flips, "synthetic", tmp_path) == []


def test_only_what_has_no_good_default_must_be_written() -> None:
    needed = {kind: required_names(cls) for kind, cls in Augmentation.table.items()}
    assert {kind: names for kind, names in needed.items() if names} == {
        "random_rotation": ["degrees"],
        "random_affine": ["degrees"],
        "random_translate": ["translate"],
        "random_crop": ["padding"],
        "cutout": ["size"],
    }
