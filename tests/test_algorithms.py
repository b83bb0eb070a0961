"""What is computed in another way than by torch's modules is the same, in outputs and in gradients."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from builder import build_model, load_spec, make_plan
from builder.algorithms import calls, convolution, products
from builder.algorithms.calls import Calls
from builder.algorithms.dropout import dropout
from builder.algorithms.lowering import Lowered
from builder.algorithms.winograd import Winograd
from builder.modules import Call

ALGORITHMS = (Winograd, Lowered)
# images, channels in and out, height, width, padding
CONVOLUTIONS = [
    (3, 5, 7, 9, 6, (1, 0)),
    (2, 4, 4, 5, 5, (0, 0)),
    (1, 1, 1, 3, 3, (0, 0)),
    (4, 3, 2, 8, 13, (2, 1)),
    (40, 96, 80, 11, 12, (1, 1)),  # more than one round
]


def fast(dtype: torch.dtype = torch.float32, *, is_testing: bool = False) -> Calls:
    return Calls(dtype=dtype, is_fast=True, is_on_cpu=True, is_testing=is_testing)


def closest(found: Tensor, true: Tensor, share: float) -> bool:
    """Whether they agree to a share of the largest number."""
    return bool((found - true).detach().abs().max() <= share * true.detach().abs().max())


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("channels_last", [True, False])
@pytest.mark.parametrize(("images", "in_channels", "out_channels", "height", "width", "padding"), CONVOLUTIONS)
def test_a_convolution_computed_otherwise_is_the_same_convolution(
    algorithm: type[torch.autograd.Function],
    bias: bool,
    channels_last: bool,
    images: int,
    in_channels: int,
    out_channels: int,
    height: int,
    width: int,
    padding: tuple[int, int],
) -> None:
    random = torch.Generator().manual_seed(1)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    inputs = torch.randn(images, in_channels, height, width, generator=random).contiguous(memory_format=layout)
    weight = torch.randn(out_channels, in_channels, 3, 3, generator=random).contiguous(memory_format=layout)
    shift = torch.randn(out_channels, generator=random).requires_grad_() if bias else None
    arguments = [inputs.requires_grad_(), weight.requires_grad_(), *([] if shift is None else [shift])]
    found = algorithm.apply(inputs, weight, shift, padding)
    exact = None if shift is None else shift.double()
    true = functional.conv2d(inputs.double(), weight.double(), exact, padding=padding)
    assert found.shape == true.shape
    assert closest(found, true, 5e-5)
    grad = torch.randn(true.shape, generator=random)
    for ours, theirs in zip(
        torch.autograd.grad(found, arguments, grad), torch.autograd.grad(true, arguments, grad), strict=True
    ):
        assert ours.shape == theirs.shape
        assert closest(ours, theirs, 5e-5)


needs_onednn = pytest.mark.skipif(not hasattr(torch.ops.mkldnn, "_linear_pointwise"), reason="torch without oneDNN")


@pytest.mark.parametrize("onednn", [pytest.param(True, marks=needs_onednn), False])
def test_stacks_are_multiplied_alike_by_either_library(monkeypatch: pytest.MonkeyPatch, onednn: bool) -> None:
    monkeypatch.setattr(products, "has_onednn", lambda: onednn)
    left, right, goal = torch.randn(4, 7, 5), torch.randn(4, 6, 5), torch.randn(4, 7, 6)
    true = left.double() @ right.double().transpose(1, 2)
    assert closest(products.products(left, right), true, 1e-5)
    added = goal.clone()
    products.add_products(added, left, right)
    assert closest(added, goal + true, 1e-5)
    columns = torch.randn(4, 5, 7).transpose(1, 2)
    assert closest(products.products(columns, right), columns.double() @ right.double().transpose(1, 2), 1e-5)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float32])
def test_a_product_is_that_of_rows_with_rows(dtype: torch.dtype) -> None:
    left, right = torch.randn(7, 5).to(dtype), torch.randn(6, 5).to(dtype)
    found = products.product(left, right)
    assert found.dtype == dtype
    assert closest(found.double(), left.double() @ right.double().T, 0.01 if dtype == torch.bfloat16 else 1e-5)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("learns", [(True, False, False), (False, True, False), (False, False, True)])
def test_only_the_gradients_that_are_wanted_are_computed(
    algorithm: type[torch.autograd.Function], learns: tuple[bool, bool, bool]
) -> None:
    tensors = (torch.randn(2, 4, 6, 6), torch.randn(5, 4, 3, 3), torch.randn(5))
    arguments = [tensor.requires_grad_(wanted) for tensor, wanted in zip(tensors, learns, strict=True)]
    algorithm.apply(*arguments, (1, 1)).square().sum().backward()
    found = [argument.grad for argument in arguments]
    for argument in arguments:
        argument.grad = None
    inputs, weight, bias = arguments
    functional.conv2d(inputs, weight, bias, padding=1).square().sum().backward()
    for ours, argument in zip(found, arguments, strict=True):
        assert (ours is None) == (argument.grad is None)
        if ours is not None and argument.grad is not None:
            assert closest(ours, argument.grad, 1e-4)


@pytest.mark.parametrize("kernel_size", [(2, 3), (1, 1), (4, 1)])
def test_a_lowered_kernel_may_be_of_any_size(kernel_size: tuple[int, int]) -> None:
    inputs, weight = torch.randn(2, 3, 6, 5), torch.randn(4, 3, *kernel_size)
    assert closest(Lowered.apply(inputs, weight, None, (1, 0)), functional.conv2d(inputs, weight, padding=(1, 0)), 1e-5)


def test_a_lowered_convolution_in_bfloat16_rounds_like_bfloat16() -> None:
    inputs, weight = torch.randn(4, 64, 5, 5, dtype=torch.bfloat16), torch.randn(32, 64, 3, 3, requires_grad=True)
    found = Lowered.apply(inputs, weight, None, (0, 0))
    true = functional.conv2d(inputs.double(), weight.double())
    assert found.dtype == torch.bfloat16
    assert closest(found, true, 0.01)
    (gradient,) = torch.autograd.grad(found, weight, torch.ones_like(found))
    (expected,) = torch.autograd.grad(true, weight, torch.ones_like(true))
    assert gradient.dtype == torch.float32
    assert closest(gradient, expected, 0.01)


def test_the_gradient_of_a_lowered_convolution_is_almost_as_exact_as_torchs() -> None:
    inputs = torch.randn(8, 256, 5, 5).bfloat16().requires_grad_()
    weight = torch.randn(256, 256, 3, 3).bfloat16() / 48
    grad = torch.randn(8, 256, 3, 3).bfloat16()
    exact = functional.conv_transpose2d(grad.double(), weight.double())
    (ours,) = torch.autograd.grad(Lowered.apply(inputs, weight, None, (0, 0)), inputs, grad)
    (theirs,) = torch.autograd.grad(functional.conv2d(inputs, weight), inputs, grad)
    assert (ours - exact).norm() <= 1.6 * (theirs - exact).norm()


@pytest.mark.parametrize("p", [0.1, 0.5, 0.93])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_dropout_drops_so_many_and_scales_the_others(p: float, dtype: torch.dtype) -> None:
    torch.manual_seed(1)
    inputs = torch.ones(200, 5, 50, 7, dtype=dtype, requires_grad=True)
    found = dropout(inputs, p)
    dropped = found == 0
    deviation = (p * (1 - p) / inputs.numel()) ** 0.5
    assert abs(float(dropped.float().mean()) - p) < 4 * deviation
    assert found[~dropped].unique().tolist() == pytest.approx([1 / (1 - p)], rel=0.01)
    (gradient,) = torch.autograd.grad(found, inputs, torch.ones_like(found))
    assert torch.equal(gradient, found)


def test_dropout_drops_each_number_by_itself() -> None:
    torch.manual_seed(2)
    dropped = (dropout(torch.ones(400_000), 0.3) == 0).float()
    for distance in (1, 2, 3, 4, 5, 8):
        together = (dropped[:-distance] * dropped[distance:]).mean()
        assert float(together) == pytest.approx(0.09, abs=0.002)


@pytest.mark.parametrize(("p", "expected"), [(0.0, 1.0), (1e-9, 1.0), (1.0, 0.0), (1 - 1e-9, 0.0)])
def test_dropout_at_the_ends_of_its_range_draws_nothing(p: float, expected: float) -> None:
    before = torch.get_rng_state()
    assert dropout(torch.ones(10), p).unique().tolist() == [expected]
    assert torch.equal(torch.get_rng_state(), before)


def test_dropout_keeps_the_order_in_memory() -> None:
    inputs = torch.randn(4, 3, 5, 6).contiguous(memory_format=torch.channels_last)
    assert dropout(inputs, 0.5).is_contiguous(memory_format=torch.channels_last)
    part = torch.randn(8, 8)[::2, 1:5]
    found = dropout(part, 0.5)
    assert torch.equal(found[found != 0], 2 * part[found != 0])


def test_dropout_repeats_with_the_seed() -> None:
    results = []
    for _ in range(2):
        torch.manual_seed(5)
        results.append(dropout(torch.ones(1000), 0.5))
    assert torch.equal(*results)


def gradients(call: Call, model: nn.Module, inputs: Tensor) -> tuple[Tensor, list[Tensor]]:
    """The output, and the gradients of all parameters."""
    output = call(inputs)
    scores = output.flatten(1)
    learned = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return output.detach(), list(torch.autograd.grad((scores * scores.detach().cos()).sum(), learned))


LAYERS = """\
input: [3, 12, 10]
layers:
  - conv2d: {out_channels: 8, kernel_size: 3, padding: same}
  - batch_norm2d
  - relu
  - max_pool2d: {kernel_size: 3, stride: 2, padding: 1}
  - relu
  - residual:
      layers:
        - relu
        - conv2d: {out_channels: 8, kernel_size: 3, padding: 1, padding_mode: circular}
        - batch_norm2d: {affine: false}
        - dropout: {p: 0.0}
  - concat:
      - sequential: [max_pool2d: {kernel_size: 3, stride: 1, padding: 1}, relu]
      - sequential: [conv2d: {out_channels: 8, kernel_size: 1, bias: false}, batch_norm2d, relu]
  - split:
      - relu
      - sequential: [sigmoid, relu]
  - multiply:
      - conv2d: {out_channels: 16, kernel_size: 1}
      - sequential: [adaptive_avg_pool2d: {output_size: 1}, sigmoid]
  - layer_scale: {init: 0.5, layers: [per_pixel: [linear: {out_features: 16}, relu]]}
  - conv2d: {out_channels: 4, kernel_size: [3, 2], groups: 2, dilation: [1, 2], stride: [2, 1]}
  - batch_norm2d
  - flatten
  - linear: {out_features: 10}
  - batch_norm1d
  - relu
"""


@pytest.fixture
def model(tmp_path: Path) -> nn.Module:
    (tmp_path / "net.yaml").write_text(LAYERS, encoding="utf-8")
    torch.manual_seed(1)
    return build_model(make_plan(load_spec(tmp_path / "net.yaml")))


def test_a_network_gives_and_learns_the_same_to_the_bit_where_only_the_order_changes(model: nn.Module) -> None:
    inputs = torch.randn(16, 3, 12, 10)
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    output, grads = gradients(model, model, inputs)
    after = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.load_state_dict(state)
    our_output, our_grads = gradients(fast().of(model), model, inputs)
    assert torch.equal(our_output, output)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(our_grads, grads, strict=True))
    assert all(torch.equal(tensor, after[name]) for name, tensor in model.state_dict().items())


def test_without_fast_algorithms_every_layer_is_called_itself(model: nn.Module) -> None:
    called: list[nn.Module] = []
    leaves = [module for module in model.modules() if not [*module.children()]]
    for leaf in leaves:
        leaf.register_forward_hook(lambda module, args, output: called.append(module))
    plain = Calls(dtype=torch.float32, is_fast=False, is_on_cpu=True)
    plain.of(model)(torch.randn(2, 3, 12, 10))
    assert [*map(id, called)] == [*map(id, leaves)]


def called_in_tests(model: nn.Module) -> tuple[Call, list[str]]:
    """How a network is called in tests, and the names of the layers that are."""
    names: list[str] = []

    def watch(name: str, call: Call) -> Call:
        names.append(name)
        return call

    ways = Calls(dtype=torch.float32, is_fast=True, is_on_cpu=True, is_testing=True, watch=watch)
    return ways.of(model), names


def test_in_tests_batch_norm_is_part_of_the_convolution_before(model: nn.Module) -> None:
    for _ in range(5):
        model(torch.randn(16, 3, 12, 10) + 1)
    model.eval()
    inputs = torch.randn(8, 3, 12, 10)
    call, names = called_in_tests(model)
    with torch.inference_mode():
        assert closest(call(inputs), model(inputs), 1e-5)
    assert "batch_norm2d_1" not in names
    assert "residual_1.layers.batch_norm2d_1" in names  # behind a padding that isn't zeros
    assert "batch_norm1d_1" in names


def test_a_batch_norm_that_still_learns_its_statistics_is_not_folded(model: nn.Module) -> None:
    model.eval()
    model.get_submodule("batch_norm2d_1").train()
    inputs = torch.randn(8, 3, 12, 10)
    call, names = called_in_tests(model)
    assert closest(call(inputs), model(inputs), 1e-5)
    assert "batch_norm2d_1" in names


@pytest.mark.parametrize(
    ("dtype", "layer", "size", "used"),
    [
        (torch.float32, nn.Conv2d(256, 256, 3), 8, "Winograd"),
        (torch.float32, nn.Conv2d(192, 400, 3, padding="same"), 9, "Winograd"),
        (torch.float32, nn.Conv2d(256, 256, 3, padding="valid"), 8, "Winograd"),
        (torch.float32, nn.Conv2d(256, 128, 3), 8, ""),
        (torch.float32, nn.Conv2d(256, 256, 3), 6, ""),  # of 36 outputs of the tiles 16 are used
        (torch.float32, nn.Conv2d(256, 256, 3, stride=2), 8, ""),
        (torch.float32, nn.Conv2d(256, 256, 3, dilation=2), 8, ""),
        (torch.float32, nn.Conv2d(512, 512, 3, groups=2), 8, ""),
        (torch.float32, nn.Conv2d(256, 256, (3, 1)), 8, ""),
        (torch.float32, nn.Conv2d(256, 256, 3), 5, ""),  # 16 tiles
        (torch.bfloat16, nn.Conv2d(256, 256, 3), 7, "Lowered"),
        (torch.bfloat16, nn.Conv2d(256, 256, (2, 3)), 4, "Lowered"),
        (torch.bfloat16, nn.Conv2d(256, 256, 3), 8, ""),
        (torch.bfloat16, nn.Conv2d(256, 256, 3, padding=1), 3, "Lowered"),
        (torch.bfloat16, nn.Conv2d(256, 256, 3, padding=1), 4, ""),
        (torch.bfloat16, nn.Conv2d(256, 255, 3), 5, ""),
        (torch.bfloat16, nn.Conv2d(256, 256, 3, padding=1, padding_mode="reflect"), 3, ""),
    ],
)
def test_the_algorithm_follows_from_sizes_alone(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, layer: nn.Conv2d, size: int, used: str
) -> None:
    taken: list[str] = []
    right = convolution.applied

    def applied(algorithm: type[torch.autograd.Function], *arguments: object) -> Tensor:
        taken.append(algorithm.__name__)
        return right(algorithm, *arguments)  # type: ignore[arg-type]  # passed on as they come

    monkeypatch.setattr(convolution, "applied", applied)
    inputs = torch.randn(16, layer.in_channels, size, size)
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        found = fast(dtype).of(layer)(inputs)
        true = layer(inputs)
    assert taken == [used] * bool(used)
    assert found.dtype == true.dtype
    assert closest(found.detach().float(), true.detach().float(), 0.02 if dtype == torch.bfloat16 else 1e-5)


def test_relu_writes_over_what_nobody_needs_and_over_nothing_else() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU(), nn.Sigmoid(), nn.ReLU())
    inputs = torch.randn(2, 1, 3, 3)
    seen: dict[str, Tensor] = {}

    def watch(name: str, call: Call) -> Call:
        def watched(values: Tensor) -> Tensor:
            seen[name] = call(values)
            return seen[name]

        return watched

    Calls(dtype=torch.float32, is_fast=True, is_on_cpu=True, watch=watch).of(model)(inputs)
    assert seen["1"].data_ptr() == seen["0"].data_ptr()
    assert seen["3"].data_ptr() != seen["2"].data_ptr()


def test_a_relu_that_begins_a_list_leaves_its_input_alone() -> None:
    inputs = torch.randn(2, 3)
    before = inputs.clone()
    fast().of(nn.Sequential(nn.ReLU()))(inputs)
    assert torch.equal(inputs, before)


def test_on_another_device_only_the_order_changes() -> None:
    model = nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout())
    watched: list[Call] = []

    def watch(name: str, call: Call) -> Call:
        watched.append(call)
        return call

    Calls(dtype=torch.float32, is_fast=True, is_on_cpu=False, watch=watch).of(model)
    assert watched == [model[0], model[2], torch.relu_, model[3]]


def test_on_another_device_a_folded_convolution_is_computed_by_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convolution, "applied", None)  # nothing may call it
    model = nn.Sequential(nn.Conv2d(256, 256, 3), nn.BatchNorm2d(256)).eval()
    inputs = torch.randn(16, 256, 8, 8)
    call = Calls(dtype=torch.float32, is_fast=True, is_on_cpu=False, is_testing=True).of(model)
    assert closest(call(inputs), model(inputs), 1e-5)


def test_layers_are_reordered_only_where_nothing_but_dropout_stands_between_relu_and_pooling() -> None:
    modules = [nn.ReLU(), nn.MaxPool2d(2), nn.MaxPool2d(2), nn.ReLU(), nn.AvgPool2d(2)]
    assert [name for name, _ in calls.reordered([*zip("abcde", modules, strict=True)])] == ["b", "c", "a", "d", "e"]
    modules = [nn.ReLU(), nn.Dropout(), nn.Dropout(), nn.MaxPool2d(2), nn.ReLU(), nn.Dropout()]
    assert [name for name, _ in calls.reordered([*zip("abcdef", modules, strict=True)])] == [*"bcdaef"]
    modules = [nn.ReLU(), nn.Sigmoid(), nn.MaxPool2d(2)]
    assert [name for name, _ in calls.reordered([*zip("abc", modules, strict=True)])] == [*"abc"]


@pytest.mark.parametrize("learns", [True, False])
def test_a_relu_behind_dropout_and_pooling_is_the_one_before_them_to_the_bit(learns: bool) -> None:
    model = nn.Sequential(nn.ReLU(), nn.Dropout(0.4), nn.MaxPool2d(3, stride=2, padding=1)).train(learns)
    inputs = torch.randn(6, 5, 9, 8, requires_grad=True)
    results = []
    for call in (
        fast().of(model),
        lambda x: functional.max_pool2d(dropout(x.relu(), 0.4) if learns else x.relu(), 3, stride=2, padding=1),
    ):
        torch.manual_seed(4)
        output = call(inputs)
        results.append((output, torch.autograd.grad(output.square().sum(), inputs)[0]))
    for ours, true in zip(*results, strict=True):
        assert torch.equal(ours, true)
