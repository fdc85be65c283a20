"""The conversion of PyTorch modules: parity, length of the specs, speed of the result, and of the conversion.

    python -m benchmarks.convert parity            torchvision's classifiers, segmentation and video models
    python -m benchmarks.convert length            lines of nine specs, against those of the zoo
    python -m benchmarks.convert forward           time of a forward pass, against that of the original
    python -m benchmarks.convert cold              time of `netspec convert`, against torch.export alone
    python -m benchmarks.convert timm              the smallest network of each module file of timm

Parity means equal parameters, strict names, and outputs within 1e-4.
"""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import torch
import torchvision
from torch import nn
from torchvision.models import list_models

from netspec import zoo
from netspec.convert import convert
from netspec.convert.proof import prove
from netspec.errors import NetspecError
from netspec.library import builtin_folder

COMPARED = (
    "resnet50",
    "vgg16_bn",
    "googlenet",
    "densenet121",
    "mobilenet_v2",
    "efficientnet_b0",
    "convnext_tiny",
    "vit_b_16",
    "swin_t",
)
USE = re.compile(r'^use "(.+)"', re.MULTILINE)
VIDEOS = {"s3d": (14, 224), "r": (16, 112), "mc": (16, 112), "swin": (8, 224), "mvit": (16, 224)}
"""The frames and the side of the input of torchvision's video networks, by the start of their names."""
SIZES = {"inception_v3": 299, "vit_h_14": 224, "swin_v2_t": 256, "swin_v2_s": 256, "swin_v2_b": 256}


def module_of(name: str) -> nn.Module:
    """Build a network of torchvision with random weights."""
    options: dict[str, Any] = {"init_weights": False} if name in ("inception_v3", "googlenet") else {}
    if name in list_models(torchvision.models.segmentation):
        options = {"weights_backbone": None}
    torch.manual_seed(0)
    module: nn.Module = torchvision.models.get_model(name, weights=None, **options)
    return module


def verdict(module: nn.Module, shape: tuple[int, ...]) -> tuple[str, str]:
    """Convert a module and compare both; return what came out, in one word and in one line."""
    try:
        conversion = convert(module, shape)
        proof = prove(conversion)
    except NetspecError as error:
        return "refused", str(error).splitlines()[0]
    lines = len(conversion.text.splitlines())
    macs = "" if proof.macs[0] == proof.macs[1] else f", flop_counter {proof.macs[1]:,} MACs"
    return "parity" if proof.holds else "differs", f"{lines} lines, difference {proof.relative:.1e}{macs}"


def parity() -> None:
    """Print a line for each classifier, segmentation and video model of torchvision."""
    images = [*list_models(torchvision.models), *list_models(torchvision.models.segmentation)]
    shapes: dict[str, tuple[int, ...]] = {
        name: (3, SIZES.get(name, 224), SIZES.get(name, 224)) for name in images
    }
    for name in list_models(torchvision.models.video):
        frames, side = next(size for start, size in VIDEOS.items() if name.startswith(start))
        shapes[name] = (3, frames, side, side)
    counts: Counter[str] = Counter()
    for name, shape in shapes.items():
        word, text = verdict(module_of(name), shape)
        counts[word] += 1
        print(f"{name:32} {word:8} {text}", flush=True)
    print(dict(counts))


def length() -> None:
    """Print the lines of nine converted specs and of the zoo's specs, without comments and empty lines."""
    for name in COMPARED:
        ours = code_lines(convert(module_of(name), (3, 224, 224)).text)
        text = (builtin_folder() / f"{zoo.card(name).spec}.net").read_text("utf-8")
        theirs = code_lines(text)
        used = sum(code_lines((builtin_folder() / path).read_text("utf-8")) for path in USE.findall(text))
        more = f" and {used} in files that it uses" if used else ""
        print(f"{name:16} {ours:4} lines, the zoo's {theirs}{more}: {ours / theirs:.2f}")


def code_lines(text: str) -> int:
    """Count lines that are neither empty nor comments."""
    return sum(bool(line.strip()) and not line.strip().startswith("#") for line in text.splitlines())


def forward() -> None:
    """Print the median ratio of forward passes, measured in turn."""
    torch.set_num_threads(1)
    for name in COMPARED:
        original = module_of(name).eval()
        made = convert(original, (3, 224, 224)).network.module().eval()
        made.load_state_dict(original.state_dict())
        x = torch.randn(4, 3, 224, 224)
        ratios = []
        with torch.no_grad():
            for k in range(16):
                pair = (made, original) if k % 2 else (original, made)
                times = {m: elapsed(m, x) for m in pair}
                ratios.append(times[made] / times[original])
        print(f"{name:16} {statistics.median(ratios[4:]):.3f}", flush=True)


def elapsed(module: nn.Module, x: torch.Tensor) -> float:
    """Return the CPU time of a forward pass in seconds."""
    start = time.process_time()
    module(x)
    return time.process_time() - start


def cold() -> None:
    """Print the median ratio of the CPU times of new processes: `netspec convert`, and export alone."""
    target = "torchvision.models:resnet50"
    command = [sys.executable, "-m", "netspec", "convert", target, "-o", "/dev/null"]
    alone = [
        sys.executable,
        "-c",
        "import torch, torchvision\n"
        "with torch.device('meta'): m = torchvision.models.resnet50().eval()\n"
        "torch.export.export(m, (torch.empty(2, 3, 224, 224, device='meta'),), strict=False)",
    ]
    ratios = []
    for _ in range(7):
        ours, theirs = (process_time(each) for each in (command, alone))
        ratios.append(ours / theirs)
        print(f"{ours:.2f} s, {theirs:.2f} s", flush=True)
    print(f"median ratio {statistics.median(ratios):.2f}")


def process_time(command: list[str]) -> float:
    """Return the wall-clock time of a process in seconds."""
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


def timm() -> None:
    """Print a line for the smallest network of each module file of timm."""
    library: Any = import_module("timm")
    counts: Counter[str] = Counter()
    for file, name in smallest():
        module = library.create_model(name)
        try:
            word, text = verdict(module, module.default_cfg["input_size"])
        except Exception as error:  # a bug of the conversion, which the list has to show
            word, text = "failed", f"{type(error).__name__}: {error}".splitlines()[0]
        counts[word] += 1
        print(f"{file:28} {name:36} {word:8} {text}", flush=True)
    print(dict(counts))


def smallest() -> Iterator[tuple[str, str]]:
    """Yield each module file of timm, with the network that has the fewest parameters of four short names."""
    library: Any = import_module("timm")
    files: dict[str, str] = import_module("timm.models._registry")._model_to_module
    by_file: dict[str, list[str]] = defaultdict(list)
    for name in library.list_models():
        by_file[files[name]].append(name)
    for file, names in sorted(by_file.items()):
        large = ("huge", "giant", "large", "xl", "gigantic", "base", "enormous", "so400", "so150")
        names = sorted(names, key=lambda n: (sum(word in n for word in large), len(n)))[:4]
        yield file, min(names, key=size_of)


def size_of(name: str) -> int:
    """Return the number of parameters of a network of timm."""
    library: Any = import_module("timm")
    with torch.device("meta"):
        return sum(p.numel() for p in library.create_model(name).parameters())


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    modes = {"parity": parity, "length": length, "forward": forward, "cold": cold, "timm": timm}
    if len(sys.argv) != 2 or sys.argv[1] not in modes:
        raise SystemExit(__doc__)
    modes[sys.argv[1]]()
