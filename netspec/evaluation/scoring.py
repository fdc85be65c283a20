"""Loss and error of a network over labelled images."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax, nll_loss, softmax

from netspec.training.distributed import Processes


@dataclass(frozen=True)
class Score:
    """How well a network does: mean loss, and the shares of images (0 to 1) whose class it misses.

    Top-5 error counts an image as missed when its class is not among the five most likely.
    """

    images: int
    loss: float
    top1_error: float
    top5_error: float


@torch.inference_mode()
def evaluate(
    module: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], processes: Processes | None = None
) -> Score:
    """Score a module, in evaluation mode, on batches of images N x C x H x W, or N x crops x C x H x W.

    Several crops of an image vote with the mean of their probabilities (Krizhevsky et al., 2012, 4.1). Where
    several processes each have a share of the images, all get the score of the whole.
    """
    training = module.training
    module.eval()
    totals = torch.zeros(4, device=next((p.device for p in module.parameters()), None))
    totals = totals if totals.device.type == "mps" else totals.double()
    try:
        for images, labels in batches:
            totals += _tally(predict(module, images), labels).to(totals)
    finally:
        module.train(training)
    loss, top1, top5, count = (processes or Processes()).sum(totals).tolist()
    if not count:
        raise ValueError("there are no images to evaluate")
    return Score(int(count), loss / count, 1 - top1 / count, 1 - top5 / count)


def predict(module: nn.Module, images: Tensor) -> Tensor:
    """Log-probabilities, N x classes, of images N x C x H x W, or N x crops x C x H x W."""
    if images.dim() == 4:
        return log_softmax(module(images).float(), dim=1)
    count, crops = images.shape[:2]
    votes = softmax(module(images.flatten(0, 1)).float(), dim=1).view(count, crops, -1)
    return votes.mean(1).log()


def _tally(scores: Tensor, labels: Tensor) -> Tensor:
    """Sums over a batch: loss, images right at the first guess, and within five, and images."""
    ranked = scores.topk(min(5, scores.shape[1]), dim=1).indices == labels.unsqueeze(1)
    loss = nll_loss(scores, labels, reduction="sum")
    return torch.stack([loss, ranked[:, 0].sum(), ranked.sum(), loss.new_tensor(len(labels))])
