"""With how many bits a run computes."""

from collections.abc import Iterator
from time import perf_counter
from typing import NamedTuple

import torch
from torch import Tensor, nn

from builder.exits import UsageError, say
from builder.recipe import FLOAT16_NEEDS_A_GPU, INSTEAD_OF_FLOAT16

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

TOLERANCE = 0.03  # of a layer's output and gradient, in the norm; rounding alone gives a tenth of it
MAX_SLOWDOWN = 3.0  # a processor that only imitates bfloat16 takes many times as long as in float32
TRIALS = 5  # the fastest counts: how busy the machine is must not decide


def dtype_of(precision: str, device: torch.device) -> torch.dtype:
    """The type of a precision that isn't `auto` any more.

    Raises:
        UsageError: float16 without a GPU.
    """
    if precision == "float16" and device.type == "cpu":
        raise UsageError(f"{FLOAT16_NEEDS_A_GPU}; {INSTEAD_OF_FLOAT16}")
    return DTYPES[precision]


def chosen_precision(asked: str, model: nn.Module, inputs: Tensor, device: torch.device) -> str:
    """The precision on this device; `auto` takes bfloat16 where the processor computes in it, rightly and fast.

    Args:
        asked: as the recipe says.
        model: what is to be computed.
        inputs: of a few images, to try it with.
        device: where it is computed.
    """
    if asked != "auto":
        return asked
    if not computes_bfloat16(device):
        return "float32"
    if device.type == "cpu" and (reason := fault_of_bfloat16(model, inputs)):
        say(f"computing in float32, for {reason}")
        return "float32"
    return "bfloat16"


def computes_bfloat16(device: torch.device) -> bool:
    """Whether there are instructions for it; elsewhere it is only slower."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        return bool(torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())
    return False


def fault_of_bfloat16(model: nn.Module, inputs: Tensor) -> str:
    """Why a network is better not computed in bfloat16 here, or nothing: each layer with a matrix is tried alone."""
    seconds = {torch.float32: 0.0, torch.bfloat16: 0.0}
    for name, layer, layer_inputs in _layers(model, inputs):
        expected, found = (_tried(layer, layer_inputs, dtype) for dtype in seconds)
        for true, tried in zip(expected.tensors, found.tensors, strict=True):
            error = float((tried - true).norm() / true.norm().clamp_min(1e-30))
            if not error <= TOLERANCE:
                return f"bfloat16 is wrong in `{name}` on this machine: an error of {error:.0%}"
        seconds[torch.float32] += expected.seconds
        seconds[torch.bfloat16] += found.seconds
    slowdown = seconds[torch.bfloat16] / max(seconds[torch.float32], 1e-9)
    return f"bfloat16 takes {slowdown:.1f} times as long on this machine" if slowdown > MAX_SLOWDOWN else ""


class _Trial(NamedTuple):
    tensors: tuple[Tensor, Tensor]  # the layer's output, and the gradient of its weight
    seconds: float


def _tried(layer: nn.Module, inputs: Tensor, dtype: torch.dtype) -> _Trial:
    tensors = _computed(layer, inputs, dtype)  # the first time, memory is found and kernels are made
    times = []
    for _ in range(TRIALS):
        started = perf_counter()
        _computed(layer, inputs, dtype)
        times.append(perf_counter() - started)
    return _Trial(tensors, min(times))


@torch.enable_grad()
def _computed(layer: nn.Module, inputs: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        output: Tensor = layer(inputs)
    (gradient,) = torch.autograd.grad(output, layer.get_parameter("weight"), output.detach())
    return output.detach().float(), gradient.float()


@torch.no_grad()
def _layers(model: nn.Module, inputs: Tensor) -> Iterator[tuple[str, nn.Module, Tensor]]:
    """All layers that multiply by a matrix or a kernel and learn, with what they see of these inputs."""
    seen: dict[nn.Module, Tensor] = {}
    found = {module: name for name, module in model.named_modules() if _learns_a_matrix(module)}
    handles = [module.register_forward_pre_hook(lambda layer, args: seen.update({layer: args[0]})) for module in found]
    was_training = [module for module in model.modules() if module.training]
    try:
        model.eval()(inputs)
    finally:
        for handle in handles:
            handle.remove()
        for module in was_training:
            module.training = True
    for module, layer_inputs in seen.items():
        yield found[module], module, layer_inputs


def _learns_a_matrix(module: nn.Module) -> bool:
    weight = module._parameters.get("weight")
    return weight is not None and weight.dim() >= 2 and weight.requires_grad
