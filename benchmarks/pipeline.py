"""Reading ImageNet's photos on one core: images/s relative to torchvision's ImageFolder.

    taskset -c 0 python benchmarks/pipeline.py --root ../shared/data/imagenet-sample

The images are AlexNet's training crops: short side resized to 256, centre square, random crop of 227, random
flip, normalized. The baseline is ImageFolder with Pillow's transforms and the default collate. Targets: 2.5
times its images/s from the files, 5 times from a prepared copy. Figures are medians over rounds, each of
which runs every source once. At the end, the pixels of the crops are compared with Pillow's antialiased
resize, and for scale with a resize without antialiasing.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median

import numpy as np
import simplejpeg
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from netspec.datasets.base import Batches, LoaderConfig
from netspec.datasets.image_folder import scan
from netspec.datasets.layout import class_folders
from netspec.datasets.prepare import prepare
from netspec.datasets.registry import open_data
from netspec.recipe import Recipe
from netspec.recipe.images import Flip, ImageNet
from netspec.transforms.pixels import BadImage, Box, centred, resized_shape, window

SHORT, SIZE, BATCH = 256, 227, 64
TARGETS = {"files": 2.5, "prepared": 5.0}


def peer(root: Path) -> Iterable[tuple[Tensor, Tensor]]:
    """Return torchvision's loader, which reads in this process."""
    steps = [
        transforms.Resize(SHORT),
        transforms.CenterCrop(SHORT),
        transforms.RandomCrop(SIZE),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    ]
    folder = ImageFolder(str(root), transforms.Compose(steps))
    return DataLoader(folder, BATCH, shuffle=True, drop_last=True)


def ours(name: str) -> Batches:
    """Return netspec's training crops of a data set, read in this process."""
    recipe = Recipe(batch=BATCH, resize=SHORT, crop=SIZE, augment=(Flip(),), normalize=ImageNet())
    return open_data(name).open(LoaderConfig((3, SIZE, SIZE), recipe, torch.device("cpu"), 0))


def seconds(batches: Iterable[tuple[Tensor, Tensor]]) -> float:
    """Return the seconds per image over one epoch."""
    started, count = time.perf_counter(), 0
    for images, _ in batches:
        count += len(images)
    return (time.perf_counter() - started) / count


def decoding(files: list[bytes]) -> float:
    """Return the seconds per image of decoding alone, the lower bound for any reader."""
    started = time.perf_counter()
    for content in files:
        simplejpeg.decode_jpeg(content)
    return (time.perf_counter() - started) / len(files)


def compare(root: Path, scratch: Path, rounds: int) -> dict[str, list[float]]:
    """Time every source once per round."""
    both = scratch / "both"
    both.mkdir()
    for part in ("train", "val"):  # both parts must exist, but only one is measured
        (both / part).symlink_to(root.absolute(), target_is_directory=True)
    copies = {"prepared": None, "prepared-q95": 95}
    for name, quality in copies.items():
        prepare(f"folder:{both}", None, scratch / name, size=SHORT, quality=quality, val_share=0.2)
    theirs = peer(root)
    sources = {"files": ours(f"folder:{both}")}
    sources |= {name: ours(f"prepared:{scratch / name}") for name in copies}
    contents = [Path(path).read_bytes() for path, _ in theirs.dataset.samples]  # type: ignore[attr-defined]
    runs: dict[str, Callable[[int], float]] = {
        "ImageFolder": lambda _: seconds(theirs),
        "decoding alone": lambda _: decoding(contents),
    }
    for name, source in sources.items():
        runs[name] = lambda number, source=source: seconds(source.train(number))  # type: ignore[misc]
    found: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, run in runs.items():
            taken = run(number)
            if number:  # the first round warms up
                found[name].append(taken)
    return found


def differences(root: Path) -> dict[str, list[Tensor]]:
    """Return the absolute differences of pixels from Pillow's antialiased resize, over random crops."""
    files = scan(root, class_folders(root))
    random = np.random.default_rng(0)
    found: dict[str, list[Tensor]] = {"ours": [], "without antialiasing": []}
    for index in range(len(files)):
        path, pixels = files[index][0], files.photo(index)
        assert not isinstance(pixels, BadImage)
        shape = resized_shape(pixels.shape[:2], SHORT)
        square = centred(shape, (SHORT, SHORT))
        top, left = (int(side + random.integers(SHORT - SIZE + 1)) for side in (square.top, square.left))
        with Image.open(path) as image:
            whole = image.convert("RGB").resize((shape[1], shape[0]), Image.Resampling.BILINEAR)
        wanted = torch.from_numpy(np.array(whole))[top : top + SIZE, left : left + SIZE].int()
        plain = interpolate(torch.from_numpy(pixels).permute(2, 0, 1)[None].float(), shape, mode="bilinear")
        rough = plain.round()[0].permute(1, 2, 0)[top : top + SIZE, left : left + SIZE].int()
        crop = window(pixels, SHORT, Box(top, left, SIZE, SIZE)).int()
        found["ours"].append((crop - wanted).abs())
        found["without antialiasing"].append((rough - wanted).abs())
    return found


def main() -> None:
    """Run and print all measurements; the exit status is 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="class folders of photos")
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    print(f"{platform.machine()}, {cores} core(s) allowed, load {os.getloadavg()[0]:.2f}")
    with tempfile.TemporaryDirectory() as scratch:
        found = compare(arguments.root, Path(scratch), arguments.rounds)
    reference = median(found["ImageFolder"])
    missed = []
    print(f"{'source':22}{'images/s':>10}{'ms':>8}{'best ms':>9}{'times':>8}  target")
    for name, taken in found.items():
        times = reference / median(taken)
        target = TARGETS.get(name)
        verdict = "" if target is None else f"{target} {'holds' if times >= target else 'MISSED'}"
        missed += [name] if target and times < target else []
        print(
            f"{name:22}{1 / median(taken):10.0f}{median(taken) * 1e3:8.3f}{min(taken) * 1e3:9.3f}{times:8.2f}"
            f"  {verdict}"
        )
    ratios = [theirs / mine for theirs, mine in zip(found["ImageFolder"], found["files"], strict=True)]
    print(f"files against ImageFolder, round by round: {', '.join(f'{r:.2f}' for r in sorted(ratios))}")
    print(f"load {os.getloadavg()[0]:.2f}")
    for name, values in differences(arguments.root).items():
        every = torch.cat([value.flatten() for value in values]).float()
        print(f"{name}: pixels differ by {every.mean():.4f} of 255 on average, {int(every.max())} at most")
    raise SystemExit(bool(missed))


if __name__ == "__main__":
    main()
