"""Damaged data sets in tar archives: folders of images, shards, prepared copies and mean files."""

from __future__ import annotations

import functools
import io
import os
import random
import tarfile
import tempfile
from pathlib import Path
from unittest import mock

from fuzz.damage import damage

NAMES = (
    "train",
    "val",
    "Train",
    "validation",
    "test",
    "cat",
    "dog",
    "a b",
    "__MACOSX",
    ".hidden",
    "x.jpg",
    "é",
)
ENDINGS = (".jpg", ".JPEG", ".png", ".txt", ".heic", "", ".cls", ".gif")
LINKS = (".", "..", "/", "/dev/zero", "cat", "/nowhere", "train")


def make(draw: random.Random) -> bytes:
    """Return an archive with one data set in it: a folder, shards, a prepared copy, or a mean file."""
    match draw.randrange(4):
        case 0:
            return _tree(draw)
        case 1:
            content = {"shards/train.tar": _shard(draw), "shards/val.tar": _shard(draw)}
        case 2:
            content = {"copy.safetensors": damage(draw, _prepared())}
        case _:
            content = {"mean.npy": damage(draw, _mean(draw))}
    return _archive(content)


@functools.cache
def _photo() -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.linear_gradient("L").resize((12, 9)).convert("RGB").save(out, "JPEG")
    return out.getvalue()


def _archive(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def _tree(draw: random.Random) -> bytes:
    """Create a tree of folders, images, other files, links and pipes below `folder`."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for number in range(draw.randrange(1, 14)):
            inside = [draw.choice(NAMES) for _ in range(draw.randrange(1, 4))]
            entry = tarfile.TarInfo("/".join(["folder", *inside, f"{number}{draw.choice(ENDINGS)}"]))
            match draw.randrange(12):
                case 0:
                    entry.type, entry.linkname = tarfile.SYMTYPE, draw.choice(LINKS)
                    archive.addfile(entry)
                case 1:
                    entry.type = tarfile.FIFOTYPE
                    archive.addfile(entry)
                case 2:
                    entry.type = tarfile.DIRTYPE
                    archive.addfile(entry)
                case _:
                    content = damage(draw, _photo()) if draw.random() < 0.2 else _photo()
                    entry.size = len(content)
                    archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def _shard(draw: random.Random) -> bytes:
    files: dict[str, bytes] = {}
    for number in range(draw.randrange(5)):
        key = draw.choice([str(number), "a/b", "", "0"])
        label = draw.choice([b"0", b"1", b"-1", b"x", b"999999", b"1" * 50, b""])
        files |= {f"{key}{draw.choice(ENDINGS)}": damage(draw, _photo()), f"{key}.cls": label}
    content = _archive(files)
    return damage(draw, content) if draw.random() < 0.5 else content


@functools.cache
def _prepared() -> bytes:
    import numpy as np

    from netspec.datasets.packed import PARTS, Contents, Writer

    out, rows = io.BytesIO(), {part: np.zeros((2, 5), np.int64) for part in PARTS}
    writer = Writer(out, Contents("folder:set", 8, None, ("cat", "dog"), rows))
    for part in PARTS:
        for label in range(2):
            rows[part][label] = (*writer.add(bytes(range(192))), 8, 8, label)
    writer.close()
    return out.getvalue()


def _mean(draw: random.Random) -> bytes:
    import numpy as np

    out = io.BytesIO()
    shape = draw.choice([(3,), (3, 8, 8), (1, 8, 8), (3, 9, 9), ()])
    np.save(out, np.ones(shape, draw.choice(["f4", "f8", "u1", "U1", "c8", "?"])))
    return out.getvalue()


def run(content: bytes) -> None:
    """Unpack a data set and read one epoch of it; netspec may reject it with a `NetspecError`."""
    from netspec.errors import NetspecError

    with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, {"XDG_CACHE_HOME": folder}):
        root = Path(folder)
        try:
            with tarfile.open(fileobj=io.BytesIO(content)) as archive:
                # Pythons before 3.11.4 have no argument `filter`; later ones warn without a filter.
                archive.extraction_filter = lambda member, path: member
                archive.extractall(root)
        except (tarfile.TarError, OSError):
            return  # two entries have the same name, and one of them is a folder
        try:
            _read(root)
        except NetspecError as error:
            text = str(error)
        else:
            return
    assert 0 < len(text) < 2000


def _read(root: Path) -> None:
    """Open the data set in a folder and read a training batch and all validation batches."""
    import torch

    from netspec.datasets.base import LoaderConfig
    from netspec.datasets.registry import open_data
    from netspec.datasets.screening import screened
    from netspec.recipe import Recipe
    from netspec.recipe.images import MeanFile, Raw
    from netspec.transforms.normalize import read_mean

    if (mean := root / "mean.npy").exists():
        read_mean(mean, 3, MeanFile(path=str(mean)).order)
        return
    names = {"folder": "folder", "shards": "shards", "copy.safetensors": "prepared"}
    name = next(f"{kind}:{root / path}" for path, kind in names.items() if (root / path).exists())
    recipe = Recipe(batch=2, normalize=Raw(), resize=8)
    data, _ = screened(open_data(name), skip_bad=True)
    batches = data.open(LoaderConfig((3, 8, 8), recipe, torch.device("cpu"), workers=0))
    for images, labels in (*batches.train(0), *batches.validate()):
        assert len(images) == len(labels)
        assert images.isfinite().all()
