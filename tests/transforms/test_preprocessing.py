"""The preprocessing of one file for prediction, compared with that of validation images."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import models

from netspec import zoo
from netspec.datasets.base import LoaderConfig
from netspec.datasets.in_memory import InMemoryBatches, Labelled
from netspec.datasets.registry import open_data
from netspec.evaluation.load import published_preprocessing
from netspec.recipe import Recipe
from netspec.recipe.images import Mean, MeanImage, MeanStd, Normalize
from netspec.transforms.crops import View
from netspec.transforms.pixels import BadImage, Pixels, read_photo
from netspec.transforms.preprocessing import Preprocessing, prepare_image

CPU = torch.device("cpu")
COARSE = np.random.default_rng(0).integers(40, 216, (160, 120, 3), dtype=np.uint8)
PHOTO = np.array(Image.fromarray(COARSE).resize((480, 640), Image.Resampling.BICUBIC))


def read(path: Path) -> Pixels:
    pixels = read_photo(str(path))
    assert not isinstance(pixels, BadImage)
    return pixels


@pytest.mark.parametrize("view", ["center_crop", "ten_crop"])
@pytest.mark.parametrize("normalize", [MeanStd(), MeanImage()], ids=["mean_std", "mean_image"])
def test_a_photo_is_prepared_as_in_validation(
    normalize: Normalize, view: View, photos: Callable[..., Path]
) -> None:
    data = open_data(f"folder:{photos('whole', 5)}")
    batches = data.open(LoaderConfig((3, 16, 14), Recipe(resize=20, normalize=normalize), CPU))
    images, _ = next(batches.validate(view))
    values = Preprocessing.from_plain(batches.preprocessing.to_plain())
    for image, path in zip(images, data.val.paths, strict=True):  # type: ignore[attr-defined]
        assert prepare_image(read(Path(os.fsdecode(path))), values, view).equal(image)


RESCALING = ("googlenet", "inception_v3")  # these normalize again within torchvision's network
PUBLISHED = [
    (name, result)
    for name in zoo.names()
    for result in zoo.card(name).results
    if result.url and name not in RESCALING
]


@pytest.mark.parametrize("shape", [(300, 451), (640, 300), (60, 50)], ids=str)
@pytest.mark.parametrize(("name", "result"), PUBLISHED, ids=[f"{n}-{r.weights}" for n, r in PUBLISHED])
def test_images_are_prepared_as_published_weights_require(name, result, shape):
    pixels = PHOTO[: shape[0], : shape[1]].copy()
    values = published_preprocessing(result.evaluation)
    theirs = models.get_model_weights(name)[result.weights].transforms()(Image.fromarray(pixels))
    difference = (prepare_image(pixels, values) - theirs).abs() / torch.tensor(values.scale).view(-1, 1, 1)
    assert difference.max() <= 2.01


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("normalize", [Mean(), MeanImage()], ids=["mean", "mean_image"])
def test_an_image_of_a_small_set_is_resized_whole(
    normalize: Normalize, channels: int, tmp_path: Path
) -> None:
    stream = torch.Generator().manual_seed(0)
    images = torch.randint(256, (4, channels, 10, 10), generator=stream, dtype=torch.uint8)
    part = Labelled(images, torch.arange(4))
    batches = InMemoryBatches(part, part, LoaderConfig((channels, 12, 15), Recipe(normalize=normalize), CPU))
    whole, _ = next(batches.validate())
    for index, pixels in enumerate(images.permute(0, 2, 3, 1).numpy()):
        Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels).save(tmp_path / "image.png")
        for view in ("center_crop", "ten_crop"):
            found = prepare_image(read(tmp_path / "image.png"), batches.preprocessing, view)  # type: ignore[arg-type]
            assert torch.equal(found, whole[index])
