"""Classification metrics: loss, top-1 and top-5 error, per-class errors, confusion matrices, ensembles."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax, nll_loss, softmax

from netspec.checkpoint.content import SavedScore


@dataclass(frozen=True)
class Score:
    """The mean loss and errors over `images` images; errors are fractions from 0 to 1.

    The top-5 error counts an image as wrong when its class is not among the five most likely.
    """

    images: int
    loss: float
    top1_error: float
    top5_error: float

    @classmethod
    def of(cls, saved: SavedScore | None) -> Score | None:
        """Return the score saved in a checkpoint, or None if it has none."""
        if saved is None:
            return None
        return cls(saved.images, saved.loss, saved.top1_error, saved.top5_error)


def has_top5(classes: int) -> bool:
    """Return True if the top-5 error can differ from 0: with five classes or fewer, it cannot."""
    return classes > 5


@dataclass(frozen=True)
class Predictions:
    """A model's outputs on N labelled images.

    `log_probs` are log-probabilities, N x classes. `labels` are the N true classes. `crops` is the number of
    crops averaged for each image.
    """

    log_probs: Tensor
    labels: Tensor
    crops: int = 1


@dataclass(frozen=True)
class ClassScore:
    """The errors on the images of one class.

    `confused_with` is the wrong class that is predicted most often, or None if every image is classified
    correctly; `times` is the number of these predictions.
    """

    label: int
    images: int
    top1_error: float
    top5_error: float
    confused_with: int | None
    times: int


@dataclass(frozen=True)
class Confusion:
    """`count` images of class `true`, the fraction `share` of the class, were predicted as `predicted`."""

    true: int
    predicted: int
    count: int
    share: float


def log_probabilities(module: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Return log-probabilities, N x classes, for images N x C x H x W or N x crops x C x H x W.

    The probabilities of an image's crops are averaged (Krizhevsky et al., 2012, section 4.1).
    """
    if images.dim() == 4:
        return log_softmax(module(images).float(), dim=1)
    count, crops = images.shape[:2]
    probabilities = softmax(module(images.flatten(0, 1)).float(), dim=1).view(count, crops, -1)
    return probabilities.mean(1).log()


@torch.inference_mode()
def score_batches(
    module: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    reduce: Callable[[Tensor], Tensor] = lambda sums: sums,
) -> Score:
    """Return the score of a module in evaluation mode on batches of (images, labels), storing only sums.

    If several processes share the images, `reduce` sums a tensor over all processes, so each process returns
    the score of all images.

    Raises:
        ValueError: there are no images.
    """
    training = module.training
    module.eval()
    sums = torch.zeros(4, device=next((p.device for p in module.parameters()), None))
    sums = sums if sums.device.type == "mps" else sums.double()
    try:
        for images, labels in batches:
            sums += _batch_sums(log_probabilities(module, images), labels).to(sums)
    finally:
        module.train(training)
    loss, top1, top5, count = reduce(sums).tolist()
    if not count:
        raise ValueError("there are no images to evaluate")
    return Score(int(count), loss / count, 1 - top1 / count, 1 - top5 / count)


@torch.inference_mode()
def collect_predictions(module: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> Predictions:
    """Return a module's predictions on batches of (images, labels), in evaluation mode.

    Raises:
        ValueError: there are no images.
    """
    module.eval()
    collected, crops = [], 1
    for images, labels in batches:
        crops = images.shape[1] if images.dim() == 5 else 1
        collected.append((log_probabilities(module, images).float().cpu(), labels.cpu()))
    if not collected:
        raise ValueError("there are no images to evaluate")
    log_probs, labels = (torch.cat(part) for part in zip(*collected, strict=True))
    return Predictions(log_probs, labels, crops)


def ensemble(members: Sequence[Predictions]) -> Predictions:
    """Return the averaged probabilities of several models (Krizhevsky et al., 2012, section 6)."""
    total = torch.zeros_like(members[0].log_probs, dtype=torch.double)
    for member in members:
        total += member.log_probs.double().exp()
    return Predictions((total / len(members)).log().float(), members[0].labels, members[0].crops)


def score(predictions: Predictions) -> Score:
    """Return the mean loss, top-1 and top-5 error, computed as in validation during training."""
    count = len(predictions.labels)
    correct = _correct(predictions)
    loss = nll_loss(predictions.log_probs.double(), predictions.labels, reduction="sum").item()
    top1, top5 = (int(correct[:, :k].sum()) for k in (1, correct.shape[1]))
    return Score(count, loss / count, 1 - top1 / count, 1 - top5 / count)


def confusion_matrix(predictions: Predictions) -> Tensor:
    """Return the counts of images by true class (row) and predicted class (column), classes x classes."""
    classes = predictions.log_probs.shape[1]
    pairs = predictions.labels * classes + _ranked(predictions)[:, 0]
    return torch.bincount(pairs, minlength=classes**2).view(classes, classes)


def per_class(predictions: Predictions) -> Iterator[ClassScore]:
    """Yield the errors of each class that has images, in the order of class indices."""
    correct, matrix = _correct(predictions), confusion_matrix(predictions)
    for label in torch.unique(predictions.labels).tolist():
        own = correct[predictions.labels == label]
        wrong = matrix[label].clone()
        wrong[label] = 0
        times, predicted = wrong.max(0)
        top1, top5 = (1 - int(own[:, :k].sum()) / len(own) for k in (1, own.shape[1]))
        confused_with = int(predicted) if times else None
        yield ClassScore(label, len(own), top1, top5, confused_with, int(times))


def worst_confusions(matrix: Tensor, count: int = 10) -> list[Confusion]:
    """Return the most frequent confusions of a matrix, most frequent first, then by class index."""
    errors = matrix - torch.diag(matrix.diagonal())
    totals = matrix.sum(1)
    order = errors.flatten().argsort(descending=True, stable=True)[:count]
    pairs = [divmod(int(k), len(matrix)) for k in order]
    return [
        Confusion(true, predicted, n, n / max(int(totals[true]), 1))
        for true, predicted in pairs
        if (n := int(errors[true, predicted]))
    ]


def _batch_sums(log_probs: Tensor, labels: Tensor) -> Tensor:
    """Return sums over a batch: loss, images correct at top 1, images correct at top 5, images."""
    correct = log_probs.topk(min(5, log_probs.shape[1]), dim=1).indices == labels.unsqueeze(1)
    loss = nll_loss(log_probs, labels, reduction="sum")
    return torch.stack([loss, correct[:, 0].sum(), correct.sum(), loss.new_tensor(len(labels))])


def _correct(predictions: Predictions) -> Tensor:
    """Return, for each of the five most likely classes, whether it is correct: N x min(5, classes)."""
    return _ranked(predictions) == predictions.labels.unsqueeze(1)


def _ranked(predictions: Predictions) -> Tensor:
    """Return the five most likely classes of each image, or all classes if there are fewer, in order."""
    return predictions.log_probs.topk(min(5, predictions.log_probs.shape[1]), dim=1).indices
