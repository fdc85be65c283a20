"""Scores of batches, compared with scores computed by sorting."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from netspec.evaluation.metrics import score_batches


class Picked(nn.Module):
    """Returns the first pixels of an image as its logits, and records whether it is in training mode."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes

    def forward(self, images: Tensor) -> Tensor:
        assert not self.training
        return images.flatten(1)[:, : self.classes]


@pytest.mark.parametrize("classes", [2, 5, 6, 10])
def test_errors_and_loss_equal_those_by_sorting(classes: int) -> None:
    stream = torch.Generator().manual_seed(classes)
    images = torch.randn(50, 1, 4, 4, generator=stream)
    labels = torch.randint(classes, (50,), generator=stream)
    module = Picked(classes)
    score = score_batches(module, zip(images.split(16), labels.split(16), strict=True))
    logits = images.flatten(1)[:, :classes].tolist()
    ranks = [
        sorted(range(classes), key=lambda c: -row[c]).index(y) for row, y in zip(logits, labels, strict=True)
    ]
    assert score.images == 50
    assert score.top1_error == pytest.approx(sum(rank >= 1 for rank in ranks) / 50)
    assert score.top5_error == pytest.approx(sum(rank >= 5 for rank in ranks) / 50)
    assert score.loss == pytest.approx(float(cross_entropy(images.flatten(1)[:, :classes], labels)), rel=1e-5)
    assert module.training


def test_probabilities_of_crops_are_averaged() -> None:
    images = torch.randn(7, 10, 1, 2, 3, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(7) % 6
    votes = images.flatten(2).softmax(2).mean(1)
    score = score_batches(Picked(6), [(images, labels)])
    assert score.top1_error == pytest.approx(float((votes.argmax(1) != labels).float().mean()))
    losses = [-math.log(float(vote[label])) for vote, label in zip(votes, labels, strict=True)]
    assert score.loss == pytest.approx(sum(losses) / 7, rel=1e-5)


def test_no_images_is_an_error_and_leaves_the_mode_unchanged() -> None:
    module = Picked(3).eval()
    with pytest.raises(ValueError, match="no images"):
        score_batches(module, [])
    assert not module.training
