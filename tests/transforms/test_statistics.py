"""Statistics of training sets and mean images: their values, caching, and the part under a crop."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import CPU, PHOTO, collect, in_memory, setting
from PIL import Image
from torchvision.transforms import v2

from netspec.datasets.image_folder import class_folders, scan
from netspec.datasets.in_memory import InMemoryBatches
from netspec.datasets.registry import open_data
from netspec.errors import DataError
from netspec.recipe.images import (
    Crop,
    Flip,
    Lighting,
    Mean,
    MeanFile,
    MeanImage,
    Raw,
)
from netspec.transforms.crops import FixedView
from netspec.transforms.normalize import EIGENVALUES, EIGENVECTORS, measure, read_mean
from netspec.transforms.preprocessing import Normalizer, Preprocessing

RANDOM = np.random.default_rng(0)

# Statistics


def test_the_colours_of_a_set_are_its_own(photos: Callable[..., Path], cache: Path) -> None:
    data = open_data(f"folder:{photos('whole', 5)}")
    found = data.open(setting(augment=(Lighting(),))).statistics  # type: ignore[attr-defined]
    paths = [os.fsdecode(path) for path in data.train.paths]  # type: ignore[attr-defined]
    view = v2.Compose([v2.Resize(20), v2.CenterCrop(20), v2.PILToTensor()])
    images = torch.stack([view(Image.open(path)) for path in paths])
    colours = images.transpose(0, 1).flatten(1).double() / 255
    values = torch.linalg.eigvalsh(torch.cov(colours, correction=0)).flip(0)
    torch.testing.assert_close(found.eigenvalues.double(), values, rtol=1e-4, atol=1e-6)
    vectors = found.eigenvectors.double()
    torch.testing.assert_close(
        vectors.T @ torch.cov(colours, correction=0) @ vectors, values.diag(), rtol=1e-4, atol=1e-6
    )


def test_statistics_are_cached(
    photos: Callable[..., Path], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = photos("whole", 5)
    first = open_data(f"folder:{root}").open(setting(normalize=MeanImage()))
    assert len(list((cache / "statistics").iterdir())) == 1
    monkeypatch.setattr("netspec.datasets.photos.measure", None)  # calling it would fail
    second = open_data(f"folder:{root}").open(setting(normalize=MeanImage()))
    assert first.preprocessing == second.preprocessing
    assert first.preprocessing.mean_image.equal(second.preprocessing.mean_image)  # type: ignore[union-attr]
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache.parent))
    for path in (root / "class0").iterdir():
        os.utime(path, (1, 1))
    open_data(f"folder:{root}").open(setting(normalize=MeanImage()))
    open_data(f"folder:{root}").open(setting(normalize=MeanImage(), resize=24))
    assert len(list((cache / "statistics").iterdir())) == 3


def test_a_cache_that_cannot_be_written_is_ignored(
    photos: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = photos("whole", 5)
    monkeypatch.setenv("XDG_CACHE_HOME", str(root / "class0" / "0.jpg"))
    assert open_data(f"folder:{root}").open(setting(normalize=Mean())).preprocessing.mean[0] > 0


def test_imagenets_sample_has_imagenets_components(data_root: Path) -> None:
    root = data_root / "imagenet-sample"
    files = scan(root, class_folders(root))
    view = FixedView("center_crop", 256, (256, 256))
    found = measure(view(files.photo(i), 0)[0][0].permute(2, 0, 1)[None] for i in range(0, len(files), 6))  # type: ignore[arg-type]
    torch.testing.assert_close(found.eigenvalues, torch.tensor(EIGENVALUES), rtol=0.5, atol=0)
    first, published = found.eigenvectors[:, 0], torch.tensor(EIGENVECTORS)[:, 0]
    assert abs(float(first @ published)) > 0.999


# Mean images


def test_a_mean_images_window_is_subtracted(photos: Callable[..., Path]) -> None:
    data = open_data(f"folder:{photos('whole', 5)}")
    recipe = {"augment": (Flip(), Crop(padding=3)), "batch": 12, "seed": 4}
    plain, less = (data.open(setting(normalize=n, **recipe)) for n in (Raw(), MeanImage()))
    mean = less.preprocessing.mean_image
    assert mean is not None
    assert mean.shape == (3, 20, 20)
    padded = torch.nn.functional.pad(mean, (3, 3, 3, 3))
    windows = padded.unfold(1, 16, 1).unfold(2, 16, 1).permute(1, 2, 0, 3, 4).reshape(-1, 3, 16, 16)
    windows = torch.cat([windows, windows.flip(-1)]).flatten(1)
    differences = (collect(plain.train(0))[0] - collect(less.train(0))[0]).flatten(1)
    assert torch.cdist(differences, windows, compute_mode="donot_use_mm_for_euclid_dist").amin(1).max() < 0.01
    for view in ("center_crop", "ten_crop"):
        one, two = (collect(b.validate(view))[0] for b in (plain, less))  # type: ignore[arg-type]
        found = (one - two).flatten(0, -4).flatten(1)
        assert torch.cdist(found, windows, compute_mode="donot_use_mm_for_euclid_dist").amin(1).max() < 0.01


def test_ten_crops_subtract_the_windows_at_their_places() -> None:
    """If the mean image is the photo itself, every crop becomes zero."""
    pixels = PHOTO[:20, :20].copy()
    values = Preprocessing(
        (0.0,) * 3, (1.0,) * 3, mean_image=torch.from_numpy(pixels).permute(2, 0, 1).float()
    )
    crops, places = FixedView("ten_crop", 20, (13, 16))(pixels)
    images = torch.stack(crops).permute(0, 3, 1, 2)
    assert Normalizer.of(values, CPU)(images, torch.tensor(places)).abs().max() == 0


def test_a_mean_image_in_memory() -> None:
    part = in_memory(12)
    batches = InMemoryBatches(part, part, setting(normalize=MeanImage(), augment=(Crop(padding=9),)))
    images, _ = collect(batches.validate())
    torch.testing.assert_close(images, part.images - part.images.float().mean(0))
    moved = collect(batches.train(0))[0]
    assert (moved == 0).flatten(1).any(1).all()  # the padding equals the mean


@pytest.mark.parametrize("order", ["bgr", "rgb"])
def test_a_mean_file_is_read_in_its_order(order: str, tmp_path: Path, photos: Callable[..., Path]) -> None:
    mean = RANDOM.random((3, 20, 20)) * 255
    np.save(tmp_path / "mean.npy", mean)
    part = in_memory(12, size=20)
    chosen = setting(20, normalize=MeanFile(path=str(tmp_path / "mean.npy"), order=order))  # type: ignore[arg-type]
    images, _ = collect(InMemoryBatches(part, part, chosen).validate())
    wanted = torch.from_numpy(mean[::-1].copy() if order == "bgr" else mean).float()
    torch.testing.assert_close(images, part.images - wanted)
    folder = open_data(f"folder:{photos('whole', 5)}").open(replace(chosen, input_shape=(3, 16, 16)))
    assert collect(folder.train(0))[0].shape == (12, 3, 16, 16)


def test_a_mean_of_each_channel(tmp_path: Path) -> None:
    np.save(tmp_path / "mean.npy", np.array([1.0, 2.0, 3.0]))
    chosen = setting(normalize=MeanFile(path=str(tmp_path / "mean.npy")))
    assert InMemoryBatches(in_memory(), in_memory(), chosen).preprocessing.mean == (3.0, 2.0, 1.0)


def test_caffes_mean(data_root: Path, photos: Callable[..., Path]) -> None:
    path = data_root / "ilsvrc_2012_mean.npy"
    recipe = {"normalize": MeanFile(path=str(path)), "resize": 256}
    batches = open_data(f"folder:{photos('whole', 5)}").open(setting(227, **recipe))
    assert batches.preprocessing.mean == pytest.approx((123, 117, 104), abs=1)  # in RGB order
    assert next(batches.train(0))[0].shape == (4, 3, 227, 227)


def archive() -> bytes:
    file = io.BytesIO()
    np.savez(file, np.zeros(3))
    return file.getvalue()


def header(shape: tuple[int, ...]) -> bytes:
    """A .npy file with a header that claims a shape, and no numbers."""
    file = io.BytesIO()
    fields = {"shape": shape, "fortran_order": False, "descr": "<f4"}
    np.lib.format.write_array_header_1_0(file, fields)
    return file.getvalue()


MEANS: dict[str, tuple[object, str]] = {
    "another size": (
        np.zeros((3, 9, 9)),
        "has a mean of size 9x9, but the images are resized to 20x20: set `train.resize=9`",
    ),
    "other channels": (
        np.zeros((1, 20, 20)),
        "has shape 1x20x20 and dtype float64, but mean_file needs numbers of shape 3xHxW",
    ),
    "not finite": (np.array([0.0, 1.0, np.nan]), "contains values that are not finite"),
    "beyond float32": (np.array([0.0, 1.0, 1e300]), "contains values that are not finite"),
    "texts": (np.array(["a", "b", "c"]), "is not a .npy file of numbers"),
    "objects": (np.array([{}, {}, {}], dtype=object), "is not a .npy file of numbers"),
    "no array": (b"junk", "is not a .npy file"),
    "empty": (b"", "is not a .npy file"),
    "an archive": (archive(), "is not a .npy file"),
    "huge": (header((3, 10**9, 10**9)), "is not a .npy file"),
    "negative": (header((3, -1, -1)), "is not a .npy file"),
    "nested": (b"\x93NUMPY\1\0\xff\x1f" + b"(" * 8191, "is not a .npy file"),
    "no file": (None, "cannot be read: No such file"),
}


@pytest.mark.parametrize(("content", "message"), MEANS.values(), ids=MEANS)
def test_means_that_do_not_fit(
    content: object, message: str, tmp_path: Path, photos: Callable[..., Path]
) -> None:
    path = tmp_path / "mean.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.save(path, content)
    with pytest.raises(DataError, match=message):
        open_data(f"folder:{photos('whole')}").open(setting(normalize=MeanFile(path=str(path))))


def test_a_pipe_is_not_read_as_a_mean(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "mean.npy")
    with pytest.raises(DataError, match="cannot be read: Not a regular file"):
        read_mean(tmp_path / "mean.npy", 3, "bgr")
