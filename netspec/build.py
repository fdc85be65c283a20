"""Builds PyTorch modules from generated source, and chooses how a device runs them."""

from __future__ import annotations

import contextlib
import copyreg
import ctypes
import hashlib
import linecache
import pkgutil
import re
import shutil
import sys
import types
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from netspec.emit.torch import class_name, source
from netspec.emit.torch.names import identifier
from netspec.errors import TrainError
from netspec.graph import Net
from netspec.memory import require_memory
from netspec.recipe import Recipe
from netspec.recipe.devices import DEVICES


def build(net: Net) -> nn.Module:
    """Compile a network to a module with freshly initialized weights.

    The source is registered with `linecache` and as a Python module, so that tracebacks, debuggers and
    `inspect.getsource` work as for handwritten code. A pickle of the module contains the source, so another
    process can load it if netspec is installed.

    Raises:
        TrainError: the weights do not fit into memory.
    """
    smaller = "use a smaller network"
    if torch.get_default_device().type == "cpu":
        require_memory(4 * (net.totals.params + net.totals.buffers), net.name, smaller)
    text = source(net)
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    name = f"netspec_{identifier(net.name)}_{digest}"
    with memory_errors(net.name, smaller):
        module: nn.Module = getattr(_execute(text, name), class_name(net))()
    return module


def _execute(text: str, name: str) -> types.ModuleType:
    """Execute `text` as the Python module `name` and return the module; each name is executed only once."""
    if name not in sys.modules:
        file = f"<{name}>"
        linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
        made = types.ModuleType(name)
        made.__file__ = file
        exec(compile(text, file, "exec", dont_inherit=True), made.__dict__)
        sys.modules[name] = made
        for value in vars(made).values():
            if isinstance(value, type) and value.__module__ == name:
                copyreg.pickle(value, _Reducer(text, name))
    return sys.modules[name]


class _Reducer:
    """Pickles an instance of a generated class by storing the source, the class name, and the state."""

    def __init__(self, text: str, name: str) -> None:
        self.text, self.name = text, name

    def __call__(self, instance: Any) -> tuple[Any, ...]:
        return _new, (self.text, self.name, type(instance).__qualname__), instance.__dict__


def _new(text: str, name: str, kind: str) -> object:
    """Create an instance of the generated class `kind` without calling `__init__`; pickle sets its state."""
    made = getattr(_execute(text, name), kind)
    return made.__new__(made)


MIN_MACS = 1_000_000
"""Networks with fewer MACs per image stay in float32: casting to 16 bits takes more time than it saves."""
MIN_STEPS = 5_000
"""Runs with fewer training steps are not compiled: compiling takes about a minute, more than it saves."""
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def choose_device(name: str, local_rank: int = 0) -> torch.device:
    """Return the device with a name such as `cpu` or `cuda:1`. `auto` is the first available of DEVICES.

    `local_rank` is the index of this process on its machine. `cuda` means the GPU with the same index.

    Raises:
        TrainError: there is no such device.
    """
    if name == "auto":
        name = next(each.name for each in DEVICES.values() if pkgutil.resolve_name(each.torch)())
    if name == "cuda" and local_rank:
        name = f"cuda:{local_rank}"
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).tolist()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise TrainError(
            f"there is no device {name} here: use `device=cpu` or auto", wrong_use=True
        ) from error
    return device


@dataclass(frozen=True)
class Execution:
    """How a run uses its device: the recipe's choices, with each `auto` replaced by a definite value."""

    device: torch.device
    precision: str = "float32"
    memory_format: str = "contiguous"
    compile: bool = False

    def __str__(self) -> str:
        compiled = ["compiled"] if self.compile else []
        return ", ".join([str(self.device), self.precision, self.memory_format, *compiled])

    def resolve(self, recipe: Recipe) -> Recipe:
        """Return a copy of a recipe with these choices in place of `auto`, so that it reproduces the run."""
        choices = {name: getattr(self, name) for name in ("precision", "memory_format", "compile")}
        return recipe.model_copy(update=choices)

    def place(self, module: nn.Module) -> None:
        """Move a module to the device and to the memory format of this execution."""
        place(module, self.device, channels_last=self.memory_format == "channels_last")

    def autocast(self) -> AbstractContextManager[object]:
        """Return a context in which torch computes in 16 bits where this is safe; weights remain float32."""
        if self.precision == "float32":
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, DTYPES[self.precision])

    def grad_scaler(self) -> torch.amp.GradScaler:
        """Return a scaler that keeps float16 gradients from underflowing; it is disabled for other dtypes."""
        return torch.amp.GradScaler(self.device.type, enabled=self.precision == "float16")

    def seed(self, seed: int) -> None:
        """Seed torch's random generators of the CPU and of this device, as used by dropout."""
        torch.default_generator.manual_seed(seed)
        if self.device.type == "cuda":
            torch.cuda.default_generators[torch.cuda.current_device()].manual_seed(seed)
        elif self.device.type == "mps":
            torch.mps.manual_seed(seed)


def choose_execution(
    recipe: Recipe, device: torch.device, macs: int = 0, steps: int = 0, *, shard: bool = False
) -> Execution:
    """Return the execution of a recipe on a device, with a definite value in place of each `auto`.

    `macs` is the number of MACs per image, and `steps` the length of the run.

    On CPUs with bfloat16 instructions, AlexNet trains twice as fast in bfloat16 and channels_last as in
    float32, and ResNet-18 trains 2.3 times as fast. Compiling speeds up neither network there, so `auto`
    compiles only on CUDA.

    Raises:
        TrainError: the recipe's choices are incompatible, or compiling for the CPU finds no C++ compiler.
    """
    precision, layout, compiled = str(recipe.precision), str(recipe.memory_format), recipe.compile
    if precision == "auto":
        precision = _short_precision(device) if macs >= MIN_MACS else "float32"
    if layout == "auto":
        layout = "channels_last" if device.type in ("cpu", "cuda") and not shard else "contiguous"
    elif layout == "channels_last" and shard:
        message = "weights in channels_last cannot be sharded"
        raise TrainError(f"{message}: set `train.memory_format=contiguous`")
    if compiled == "auto":
        compiled = device.type == "cuda" and steps >= MIN_STEPS
    elif compiled and device.type == "cpu" and not (shutil.which("g++") or shutil.which("clang++")):
        message = "compiling needs a C++ compiler, and none was found"
        raise TrainError(f"{message}: install g++, or set `train.compile=false`")
    return Execution(device, precision, layout, compiled)


def _short_precision(device: torch.device) -> str:
    """Return the 16-bit precision that is fast on a device, or float32 if there is none."""
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float16"
    fast = device.type == "cpu" and (
        torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    )
    return "bfloat16" if fast else "float32"


def place(module: nn.Module, device: torch.device, *, channels_last: bool | None = None) -> None:
    """Move a module to a device.

    `channels_last` sets the memory format of its weights. The default is True on CPUs, where it is faster.
    """
    module.to(device)
    if channels_last is None:
        channels_last = device.type == "cpu"
    if channels_last:
        module.to(memory_format=torch.channels_last)


M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4  # parameters of glibc's mallopt(3)


def keep_memory() -> bool:
    """Make glibc keep freed memory; returning it to the system after every step would cost 20 % of the speed.

    Returns True if glibc accepted the settings. On other systems, nothing changes.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    settings = ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, 2**31 - 1), (M_TOP_PAD, 2**26))
    return all(mallopt(*setting) for setting in settings)


@contextlib.contextmanager
def memory_errors(what: str, way: str = "use a smaller `batch`") -> Iterator[None]:
    """Raise a TrainError if the code inside runs out of memory; its message says that `what` does not fit.

    GPUs, CPUs and Python each raise a different error.
    """
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if type(error) is RuntimeError and not re.search(
            "alloc_cpu|CPUAllocator|not enough memory", str(error)
        ):
            raise
        raise TrainError(f"{what} does not fit into the memory of the device: {way}") from error
