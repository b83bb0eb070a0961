"""How the arithmetic of a run is done: in which precision, in which order in memory, compiled or not.

The network stays what it is; only how it is called differs.
"""

import os
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from builder.exits import UsageError, say
from builder.recipe import FLOAT16_NEEDS_A_GPU, INSTEAD_OF_FLOAT16, Recipe
from builder.training.failures import is_out_of_memory

OWN_THREADS = torch.get_num_threads()
DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}

Forward = Callable[[Tensor], Tensor]


class Engine:
    """Calls a network as a recipe says. Without a word from it that is `model(inputs)`, in float32."""

    def __init__(self, recipe: Recipe, model: nn.Module, device: torch.device) -> None:
        self._device = device
        self.precision = chosen_precision(recipe.precision, device)
        self._dtype = DTYPES.get(self.precision)
        # float16 has so small a range that gradients vanish unless the loss is made larger, and they smaller again.
        self._scaler = torch.amp.GradScaler(device.type) if self.precision == "float16" else None
        self.is_channels_last = chosen_order(recipe.channels_last, self.precision, device)
        if self.is_channels_last:
            arrange(model)
        self.forward = self.forward_of(compiled(model) if recipe.compile else model)

    def forward_of(self, call: Forward) -> Forward:
        """How to call a network of this make, the trained one or an average: inputs to outputs, both float32."""
        if self._dtype is None and not self.is_channels_last:
            return call

        def forward(inputs: Tensor) -> Tensor:
            if self.is_channels_last:
                inputs = inputs.contiguous(memory_format=torch.channels_last)
            with torch.autocast(self._device.type, self._dtype, enabled=self._dtype is not None):
                output = call(inputs)
            return output.float()

        return forward

    def backward(self, loss: Tensor) -> None:
        (self._scaler.scale(loss) if self._scaler else loss).backward()

    def before_clipping(self, optimizer: Optimizer) -> None:
        """Give the gradients their true size."""
        if self._scaler:
            self._scaler.unscale_(optimizer)

    def step(self, optimizer: Optimizer) -> None:
        if self._scaler is None:
            optimizer.step()
        elif any(parameter.grad is not None for group in optimizer.param_groups for parameter in group["params"]):
            self._scaled_step(optimizer, self._scaler)

    def _scaled_step(self, optimizer: Optimizer, scaler: "torch.amp.GradScaler") -> None:
        scaler.step(optimizer)
        scaler.update()

    def state_dict(self) -> dict[str, Any]:
        return self._scaler.state_dict() if self._scaler else {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        if self._scaler and state:
            self._scaler.load_state_dict(dict(state))


def chosen_precision(asked: str, device: torch.device) -> str:
    """The precision on this device; `auto` takes bfloat16 where the processor computes in it.

    Raises:
        UsageError: float16 is asked for without a GPU.
    """
    if asked == "float16" and device.type == "cpu":
        raise UsageError(f"{FLOAT16_NEEDS_A_GPU}; {INSTEAD_OF_FLOAT16}")
    if asked != "auto":
        return asked
    return "bfloat16" if computes_bfloat16(device) else "float32"


def computes_bfloat16(device: torch.device) -> bool:
    """Whether there are instructions for it; elsewhere it is only slower."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        return bool(torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())
    return False


def chosen_order(asked: bool | str, precision: str, device: torch.device) -> bool:
    """Whether channels come last in memory; `auto`: where a GPU's units for small numbers want them so."""
    return asked is True or (asked == "auto" and device.type == "cuda" and precision != "float32")


def arrange(model: nn.Module) -> None:
    """Put the channels of all convolution kernels last in memory; their values stay."""
    for parameter in model.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)


def compiled(model: nn.Module) -> Forward:
    """The network through `torch.compile`; where the first call shows that this can't be, itself, with a sentence."""
    fast: Forward = torch.compile(model)
    chosen: list[Forward] = []

    def first_call(inputs: Tensor) -> Tensor:
        try:
            output = fast(inputs)
            chosen.append(fast)
        except Exception as error:  # whatever a compiler lacks on this machine
            if is_out_of_memory(error):
                raise
            say(f"torch.compile doesn't work here ({type(error).__name__}); going on without it")
            chosen.append(model)
            output = model(inputs)
        return output

    return lambda inputs: chosen[0](inputs) if chosen else first_call(inputs)


def apply_settings(recipe: Recipe) -> None:
    """Set what torch knows for the whole process: threads, and algorithms that give the same bits each time.

    To be called before anything is computed; what a recipe leaves open becomes torch's own choice again.
    """
    torch.set_num_threads(recipe.threads or OWN_THREADS)
    if recipe.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it CUDA's products refuse to begin
    torch.use_deterministic_algorithms(recipe.deterministic)
