"""How the arithmetic of a run is done: in which precision, in which order in memory, by which algorithms.

The network stays what it is; only how it is called differs.
"""

import os
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from builder.algorithms.calls import Calls, Watch, unwatched
from builder.exits import say
from builder.modules import Call
from builder.recipe import Recipe
from builder.training.failures import is_out_of_memory
from builder.training.memory import keep_freed_memory
from builder.training.precision import dtype_of

OWN_THREADS = torch.get_num_threads()
FUSED = (SGD, Adam, AdamW)  # of our optimizers those that torch fuses on CPUs and GPUs alike


class Engine:
    """Calls a network as a recipe says: inputs to outputs, both float32."""

    def __init__(self, recipe: Recipe, model: nn.Module, device: torch.device) -> None:
        """Prepare to call networks like the model.

        Args:
            recipe: says how; its precision isn't `auto` any more.
            model: the one in training, or one that was.
            device: where it is computed.

        Raises:
            UsageError: the device doesn't compute in this precision.
        """
        self._device = device
        self.precision = recipe.precision
        self._dtype = dtype_of(self.precision, device)
        # float16 has so small a range that gradients vanish unless the loss is made larger, and they smaller again.
        self._scaler = torch.amp.GradScaler(device.type) if self.precision == "float16" else None
        self._has_fast_algorithms = recipe.fast_algorithms
        self.is_channels_last = chosen_order(recipe.channels_last, self.precision, device)
        if self.is_channels_last:
            arrange(model)
        self.forward = self.training(model)
        if recipe.compile:
            mode = recipe.compile if isinstance(recipe.compile, str) else None
            self.forward = compiled(self._prepared(torch.compile(model, mode=mode)), self.forward)

    def training(self, model: nn.Module, watch: Watch = unwatched) -> Call:
        """How to call a network of this make while it learns."""
        return self._prepared(self._call(model, watch, is_testing=False))

    def testing(self, model: nn.Module) -> Call:
        """How to call a network of this make that is in eval mode, as long as its weights stay what they are."""
        return self._prepared(self._call(model, unwatched, is_testing=True))

    def _call(self, model: nn.Module, watch: Watch, *, is_testing: bool) -> Call:
        calls = Calls(
            dtype=self._dtype,
            is_fast=self._has_fast_algorithms,
            is_on_cpu=self._device.type == "cpu",
            is_testing=is_testing,
            watch=watch,
        )
        return calls.of(model)

    def _prepared(self, call: Call) -> Call:
        if self._dtype == torch.float32 and not self.is_channels_last:
            return call

        def forward(inputs: Tensor) -> Tensor:
            if self.is_channels_last:
                inputs = inputs.contiguous(memory_format=torch.channels_last)
            if self._dtype == torch.float32:
                return call(inputs)
            with torch.autocast(self._device.type, self._dtype):
                output = call(inputs)
            return output.float()

        return forward

    def fuse(self, optimizer: Optimizer) -> None:
        """Let torch take a step of all parameters in one call, where it has such a call.

        To be called again when a state was loaded: that call wants weights and state in one order in memory, and the
        state may come from a run that had another.
        """
        if type(optimizer) not in FUSED:
            return
        for group in optimizer.param_groups:
            group["fused"] = self._has_fast_algorithms or None
        for parameter, state in optimizer.state.items():
            for name, value in state.items():
                if isinstance(value, Tensor) and value.shape == parameter.shape:
                    state[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)

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


def chosen_order(asked: bool | str, precision: str, device: torch.device) -> bool:
    """Whether channels come last in memory; `auto`: on a CPU, and where a GPU's small numbers want it."""
    if asked != "auto":
        return asked is True
    return device.type == "cpu" or (device.type == "cuda" and precision != "float32")


def arrange(model: nn.Module) -> None:
    """Put the channels of all convolution kernels last in memory; their values stay."""
    for parameter in model.parameters():
        if parameter.dim() == 4:
            # Not `contiguous`: to that, kernels of a single channel are in order already, and what such a convolution
            # gives would have its channels first. (So it has if the kernel is of a single pixel, too.)
            ordered = torch.empty_like(parameter, memory_format=torch.channels_last)
            parameter.data = ordered.copy_(parameter.detach())


def compiled(fast: Call, plain: Call) -> Call:
    """A compiled way to call a network, until it shows that this can't be; from then on another, with a sentence.

    Not only the first call can show it: a smaller last batch is compiled anew.
    """
    ways = [fast, plain]

    def call(inputs: Tensor) -> Tensor:
        if len(ways) == 1:
            return ways[0](inputs)
        try:
            return ways[0](inputs)
        except Exception as error:  # whatever a compiler lacks on this machine
            if is_out_of_memory(error):
                raise
            say(f"torch.compile doesn't work here ({type(error).__name__}); going on without it")
            del ways[0]
        return plain(inputs)

    return call


def apply_settings(recipe: Recipe) -> None:
    """Set what torch knows for the whole process: threads, and algorithms that give the same bits each time.

    With fast algorithms, numbers too small to be written in full become zero: processors take many times as long for
    them, and they change nothing; and freed memory stays in the process from then on. To be called before anything is
    computed; the rest that a recipe leaves open becomes torch's own choice again.
    """
    if recipe.fast_algorithms:
        keep_freed_memory()
    torch.set_flush_denormal(recipe.fast_algorithms)
    torch.set_num_threads(recipe.threads or OWN_THREADS)
    if recipe.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it CUDA's products refuse to begin
    if recipe.deterministic != torch.are_deterministic_algorithms_enabled():  # to set it imports a compiler
        torch.use_deterministic_algorithms(recipe.deterministic)
