"""Figures of merit from log-probabilities: errors, loss, confusions, and the vote of several networks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import nll_loss

from netspec.evaluation.scoring import Score, predict


@dataclass(frozen=True)
class Votes:
    """What a network says of N images: log-probabilities, N x classes, and the N true classes.

    `crops` is how many crops of each image it saw.
    """

    scores: Tensor
    labels: Tensor
    crops: int = 1


@dataclass(frozen=True)
class ClassScore:
    """How well one class is told apart: its images, the shares missed, and the class taken for it most.

    `taken_for` is the number of the class that its missed images are given most often, `times` how often;
    None where none is missed.
    """

    label: int
    images: int
    top1_error: float
    top5_error: float
    taken_for: int | None
    times: int


@dataclass(frozen=True)
class Confusion:
    """`count` of the images of class `true` are taken for class `guess`; `share` is that of the class's."""

    true: int
    guess: int
    count: int
    share: float


@torch.inference_mode()
def collect(module: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> Votes:
    """Hear a module, in evaluation mode, on batches of images, N x C x H x W or N x crops x C x H x W.

    The crops of an image vote with the mean of their probabilities (Krizhevsky et al., 2012, 4.1).
    """
    module.eval()
    heard, crops = [], 1
    for images, labels in batches:
        crops = images.shape[1] if images.dim() == 5 else 1
        heard.append((predict(module, images).float().cpu(), labels.cpu()))
    if not heard:
        raise ValueError("there are no images to evaluate")
    return Votes(
        torch.cat([scores for scores, _ in heard]), torch.cat([labels for _, labels in heard]), crops
    )


def ensemble(members: Sequence[Votes]) -> Votes:
    """Several networks' vote: the mean of their probabilities (Krizhevsky et al., 2012, section 6)."""
    total = torch.zeros_like(members[0].scores, dtype=torch.double)
    for member in members:
        total += member.scores.double().exp()
    return Votes((total / len(members)).log().float(), members[0].labels, members[0].crops)


def score(votes: Votes) -> Score:
    """Mean loss and the shares of images that are missed, as training's validation has them."""
    count = len(votes.labels)
    hits = _hits(votes)
    loss = nll_loss(votes.scores.double(), votes.labels, reduction="sum").item()
    top1, top5 = (int(hits[:, :k].sum()) for k in (1, hits.shape[1]))
    return Score(count, loss / count, 1 - top1 / count, 1 - top5 / count)


def confusion_matrix(votes: Votes) -> Tensor:
    """How many images of each class (row) are given each class (column), classes x classes."""
    classes = votes.scores.shape[1]
    pairs = votes.labels * classes + _ranked(votes)[:, 0]
    return torch.bincount(pairs, minlength=classes**2).view(classes, classes)


def by_class(votes: Votes) -> Iterator[ClassScore]:
    """The figures of every class that has images, in the order of class numbers."""
    hits, matrix = _hits(votes), confusion_matrix(votes)
    for label in torch.unique(votes.labels).tolist():
        own = hits[votes.labels == label]
        missed = matrix[label].clone()
        missed[label] = 0
        times, guess = missed.max(0)
        top1, top5 = (1 - int(own[:, :k].sum()) / len(own) for k in (1, own.shape[1]))
        taken = int(guess) if times else None
        yield ClassScore(label, len(own), top1, top5, taken, int(times))


def worst(matrix: Tensor, count: int = 10) -> list[Confusion]:
    """The most frequent confusions, the most frequent first; class numbers settle ties."""
    off = matrix - torch.diag(matrix.diagonal())
    totals = matrix.sum(1)
    order = off.flatten().argsort(descending=True, stable=True)[:count]
    pairs = [divmod(int(k), len(matrix)) for k in order]
    found = [Confusion(t, g, int(off[t, g]), int(off[t, g]) / max(int(totals[t]), 1)) for t, g in pairs]
    return [c for c in found if c.count]


def _hits(votes: Votes) -> Tensor:
    """Whether the first, second ... fifth guess is right, N x min(5, classes)."""
    return _ranked(votes) == votes.labels.unsqueeze(1)


def _ranked(votes: Votes) -> Tensor:
    """The five most likely classes, or all where there are fewer, the most likely first."""
    return votes.scores.topk(min(5, votes.scores.shape[1]), dim=1).indices
