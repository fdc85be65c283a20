"""Resumed epochs and batches divided among processes have the same images as uninterrupted, single ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from netspec.datasets.base import Batches, LoaderConfig
from netspec.datasets.in_memory import InMemoryBatches, Labelled
from netspec.datasets.loader import Key, Loaded, Reader
from netspec.datasets.registry import open_data
from netspec.errors import DataError
from netspec.recipe import Recipe
from netspec.recipe.images import Crop, Flip, Lighting, Mean
from netspec.transforms.pixels import BadImage

CPU = torch.device("cpu")
Open = Callable[[LoaderConfig], Batches]


def setting(world: int = 1, rank: int = 0, batch: int = 6) -> LoaderConfig:
    values = {"batch": batch, "normalize": Mean(), "resize": 20, "seed": 5}
    augment = (Flip(), Crop(padding=2), Lighting())
    return LoaderConfig(
        (3, 16, 16), Recipe.model_validate(values | {"augment": augment}), CPU, 0, rank, world
    )


@pytest.fixture(params=["folder", "resident", "resized by batches"])
def source(
    request: pytest.FixtureRequest, photos: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> Open:
    if request.param == "folder":
        return open_data(f"folder:{photos('whole', 10)}").open
    if request.param == "resized by batches":
        monkeypatch.setattr("netspec.datasets.in_memory.MEMORY", 0)
    images = torch.randint(
        256, (24, 3, 18, 18), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    part = Labelled(images, torch.arange(24))
    val = Labelled(images[:7], torch.arange(7))
    return lambda chosen: InMemoryBatches(part, val, chosen)


def epoch(batches: Batches, number: int = 1, start: int = 0) -> list[tuple[Tensor, Tensor]]:
    return list(batches.train(number, start))


def same(left: list[tuple[Tensor, Tensor]], right: list[tuple[Tensor, Tensor]]) -> bool:
    return len(left) == len(right) and all(
        a.equal(b) for pair in zip(left, right, strict=True) for a, b in zip(*pair, strict=True)
    )


def test_an_epoch_resumes_at_any_step(source: Open) -> None:
    whole, batches = epoch(source(setting())), source(setting())
    assert len(whole) == batches.steps == 4
    for start in (1, 3, 0, 4):
        assert same(epoch(batches, start=start), whole[start:])


def test_skipped_batches_are_not_read(photos: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    batches = open_data(f"folder:{photos('whole', 10)}").open(setting())
    read: list[Key] = []
    original = Reader.__getitem__

    def count(self: Reader, keys: list[Key]) -> Loaded | BadImage:
        read.extend(keys)
        return original(self, keys)

    monkeypatch.setattr(Reader, "__getitem__", count)
    epoch(batches, start=3)
    assert len(read) == 6


@pytest.mark.parametrize("world", [2, 3])
@pytest.mark.parametrize("start", [0, 2])
def test_shares_of_all_processes_make_up_the_batch(world: int, start: int, source: Open) -> None:
    whole = epoch(source(setting()), start=start)
    sources = [source(setting(world, rank)) for rank in range(world)]
    assert {batches.batch for batches in sources} == {6}
    shares = [epoch(batches, start=start) for batches in sources]
    joined = [
        tuple(torch.cat(part) for part in zip(*step, strict=True)) for step in zip(*shares, strict=True)
    ]
    assert same(joined, whole)  # type: ignore[arg-type]


@pytest.mark.parametrize("world", [2, 3, 8])
def test_every_validation_image_belongs_to_one_process(world: int, source: Open) -> None:
    whole = [torch.cat(part) for part in zip(*source(setting()).validate(), strict=True)]
    batch = 6 * world
    shares = [list(source(setting(world, rank, batch)).validate()) for rank in range(world)]
    joined = [torch.cat(part) for part in zip(*[b for share in shares for b in share], strict=True)]
    assert all(a.equal(b) for a, b in zip(joined, whole, strict=True))


def test_every_process_measures_the_same_mean(source: Open) -> None:
    means = [source(setting(world, world - 1)).preprocessing for world in (1, 2, 3)]
    assert means[0] == means[1] == means[2]


MISFITS = {4: "6 images cannot .* among 4 processes: set `batch=4`", 7: "train with 6 processes or fewer"}


@pytest.mark.parametrize(("world", "message"), MISFITS.items())
def test_a_batch_that_cannot_be_divided(world: int, message: str, source: Open) -> None:
    with pytest.raises(DataError, match=message):
        source(replace(setting(), world=world))
