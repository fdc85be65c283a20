"""How a run uses its device: precision, memory format and compilation."""

from __future__ import annotations

import contextlib
import shutil
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch

from netspec.errors import TrainError
from netspec.recipe import Recipe

WORTH_CASTING = 1_000_000  # MACs for an image: below, casting costs what the shorter numbers save
WORTH_COMPILING = 5_000  # steps: fewer do not repay the minute or so that compiling takes

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Machine:
    """The choices of one run, each made by the recipe or, where that says `auto`, for the device."""

    device: torch.device
    precision: str = "float32"
    memory_format: str = "contiguous"
    compile: bool = False

    @property
    def words(self) -> str:
        """The choices as a line for the user."""
        return ", ".join([str(self.device), self.precision, self.memory_format, *["compiled"] * self.compile])

    def settled(self, recipe: Recipe) -> Recipe:
        """A recipe with these choices filled in, so that it gives the same run again."""
        chosen = {n: getattr(self, n) for n in ("precision", "memory_format", "compile")}
        return recipe.model_copy(update=chosen)

    def autocast(self) -> AbstractContextManager[object]:
        """Run the layers that gain from it in the short precision; weights stay float32."""
        if self.precision == "float32":
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, DTYPES[self.precision])

    def scaler(self) -> torch.amp.GradScaler:
        """Scale losses where gradients in float16 would vanish; elsewhere it does nothing."""
        return torch.amp.GradScaler(self.device.type, enabled=self.precision == "float16")

    def seed(self, seed: int) -> None:
        """Set the stream that dropout draws from, on this device alone."""
        torch.default_generator.manual_seed(seed)
        if self.device.type == "cuda":
            torch.cuda.default_generators[torch.cuda.current_device()].manual_seed(seed)
        elif self.device.type == "mps":
            torch.mps.manual_seed(seed)


def choose(
    recipe: Recipe, device: torch.device, macs: int = 0, steps: int = 0, *, shard: bool = False
) -> Machine:
    """Fill in what a recipe leaves to the machine, for a network of `macs` an image that runs `steps` steps.

    On CPUs that multiply bfloat16 in hardware, AlexNet trains 2 times as fast in it with channels_last as in
    float32, and ResNet-18 2.3 times; compiled, neither is faster there, so `auto` compiles on CUDA alone.
    """
    precision, layout, compiled = str(recipe.precision), str(recipe.memory_format), recipe.compile
    if precision == "auto":
        precision = _short(device) if macs >= WORTH_CASTING else "float32"
    if layout == "auto":
        layout = "channels_last" if device.type in ("cpu", "cuda") and not shard else "contiguous"
    elif layout == "channels_last" and shard:
        raise TrainError("weights in channels_last cannot be cut into shards: set memory_format: contiguous")
    if compiled == "auto":
        compiled = device.type == "cuda" and steps >= WORTH_COMPILING
    elif compiled and device.type == "cpu" and not (shutil.which("g++") or shutil.which("clang++")):
        raise TrainError(
            "compile: true needs a C++ compiler, and there is none: install g++, or set compile: false"
        )
    return Machine(device, precision, layout, compiled)


def _short(device: torch.device) -> str:
    """The short precision that a device multiplies fast, or float32."""
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float16"
    fast = device.type == "cpu" and (
        torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    )
    return "bfloat16" if fast else "float32"
