"""MixUp and CutMix, compared with torchvision's formulas, and the same in every process."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torchvision.transforms import v2

from netspec.recipe import Recipe
from netspec.recipe.images import Augment, Cutmix, Flip, Mixup
from netspec.transforms.augment import mixed, mixes

LABELS = torch.arange(8) % 5


def recipe(*augment: Augment) -> Recipe:
    return Recipe(augment=augment)


def images() -> Tensor:
    return torch.rand(8, 3, 10, 14, generator=torch.Generator().manual_seed(1))


def mix(chosen: Recipe, seed: int, rows: slice = slice(None)) -> tuple[Tensor, Tensor]:
    return mixed(images()[rows], LABELS[rows], 5, chosen, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("seed", range(5))
def test_mixup_equals_torchvisions(seed: int) -> None:
    ours, shares = mix(recipe(Mixup(alpha=1.0)), seed)
    kept = float(shares[1, 1])  # its neighbour has another label
    theirs = v2.MixUp(num_classes=5)
    wanted = theirs.transform(images(), {"lam": kept, "labels": LABELS, "batch_size": 8})
    torch.testing.assert_close(ours, wanted)
    torch.testing.assert_close(shares, theirs._mixup_label(LABELS, lam=kept))


@pytest.mark.parametrize("seed", range(5))
def test_cutmix_equals_torchvisions(seed: int) -> None:
    before, (ours, shares) = images(), mix(recipe(Cutmix()), seed)
    pasted = (ours != before).any(1).any(0)
    rows, columns = (pasted.any(i).nonzero().flatten().tolist() or [0, -1] for i in (1, 0))
    box = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    theirs = v2.CutMix(num_classes=5)
    params = {"box": box, "labels": LABELS, "batch_size": 8}
    assert ours.equal(theirs.transform(before, params))
    kept = 1 - (box[2] - box[0]) * (box[3] - box[1]) / 140
    torch.testing.assert_close(shares, theirs._mixup_label(LABELS, lam=kept))


def test_weights_follow_the_beta_distribution() -> None:
    """Beta(a, a) has the variance 1 / (4 (2 a + 1))."""
    kept = torch.stack([mix(recipe(Mixup(alpha=0.2)), seed)[1][1, 1] for seed in range(600)])
    assert abs(float(kept.mean()) - 0.5) < 0.06
    assert abs(float(kept.var()) - 1 / 5.6) < 0.02


def test_of_both_each_is_chosen_half_the_time() -> None:
    both = recipe(Flip(), Mixup(), Cutmix())
    kinds = [bool((mix(both, seed)[0] == images()).any()) for seed in range(60)]
    assert 15 < sum(kinds) < 45


def test_every_process_blends_with_the_same_weight() -> None:
    for chosen in (recipe(Mixup()), recipe(Cutmix()), recipe(Mixup(), Cutmix())):
        _, whole = mix(chosen, 3)
        for rows in (slice(0, 4), slice(4, 8)):
            blended, shares = mix(chosen, 3, rows)
            assert float(shares[1].max()) == pytest.approx(float(whole[1].max()))
            assert blended.shape == (4, 3, 10, 14)


def test_without_either_labels_become_one_hot() -> None:
    same, shares = mix(recipe(Flip()), 0)
    assert same.equal(images())
    assert shares.argmax(1).equal(LABELS)
    assert shares.sum() == 8
    assert [mixes(recipe(step)) for step in (Flip(), Mixup(), Cutmix())] == [False, True, True]


def test_images_are_not_changed_in_place() -> None:
    before = images()
    mixed(before, LABELS, 5, recipe(Cutmix()), torch.Generator().manual_seed(0))
    assert before.equal(images())
