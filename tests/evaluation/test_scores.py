"""Metrics, compared with scikit-learn's and torch's."""

from __future__ import annotations

import pytest
import torch
from sklearn import metrics
from torch import nn

from netspec.evaluation.metrics import (
    Predictions,
    collect_predictions,
    confusion_matrix,
    ensemble,
    per_class,
    score,
    score_batches,
    worst_confusions,
)


def predictions(seed: int, count: int = 300, classes: int = 8) -> Predictions:
    stream = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes - 1, (count,), generator=stream)  # the last class has no image
    scores = torch.randn(count, classes, generator=stream) + 2 * nn.functional.one_hot(labels, classes)
    return Predictions(scores.log_softmax(1), labels)


@pytest.mark.parametrize("seed", range(3))
def test_scores_equal_scikit_learns(seed):
    given = predictions(seed)
    chances, labels = given.log_probs.double().exp().numpy(), given.labels.numpy()
    found, names = score(given), range(8)
    assert found.images == 300
    assert 1 - found.top1_error == pytest.approx(metrics.accuracy_score(labels, chances.argmax(1)))
    top5 = metrics.top_k_accuracy_score(labels, chances, k=5, labels=names)
    assert 1 - found.top5_error == pytest.approx(top5)
    chances /= chances.sum(1, keepdims=True)
    assert found.loss == pytest.approx(metrics.log_loss(labels, chances, labels=names), rel=1e-6)


def test_confusion_matrix_equals_scikit_learns():
    given = predictions(1)
    expected = metrics.confusion_matrix(given.labels, given.log_probs.argmax(1), labels=range(8))
    assert confusion_matrix(given).tolist() == expected.tolist()


def test_errors_by_class_equal_scikit_learns():
    given = predictions(2)
    report = metrics.classification_report(
        given.labels, given.log_probs.argmax(1), output_dict=True, zero_division=0
    )
    matrix = metrics.confusion_matrix(given.labels, given.log_probs.argmax(1), labels=range(8))
    found = list(per_class(given))
    assert [c.label for c in found] == list(range(7))
    for c in found:
        assert 1 - c.top1_error == pytest.approx(report[str(c.label)]["recall"])
        assert c.images == report[str(c.label)]["support"]
        own = given.log_probs[given.labels == c.label]
        missed = (own.topk(5).indices != c.label).all(1).double().mean()
        assert c.top5_error == pytest.approx(missed.item())
        matrix[c.label, c.label] = 0
        assert c.times == matrix[c.label].max() == matrix[c.label, c.confused_with]


def test_worst_confusions():
    matrix = torch.tensor([[5, 2, 0], [7, 1, 2], [0, 0, 0]])
    found = [(c.true, c.predicted, c.count, c.share) for c in worst_confusions(matrix)]
    assert found == [(1, 0, 7, 0.7), (0, 1, 2, 2 / 7), (1, 2, 2, 0.2)]
    assert [c.count for c in worst_confusions(matrix, 1)] == [7]


def test_the_ensemble_is_the_mean_of_probabilities():
    members = [predictions(k) for k in range(5)]
    members = [Predictions(m.log_probs, members[0].labels) for m in members]
    by_hand = torch.stack([m.log_probs.exp() for m in members]).mean(0)
    together = ensemble(members)
    assert torch.allclose(together.log_probs.exp(), by_hand, atol=1e-6)
    assert torch.equal(together.log_probs.argmax(1), by_hand.argmax(1))


def test_scores_are_those_of_validation():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(12, 6)).train()
    batches = [(torch.randn(5, 3, 2, 2), torch.randint(6, (5,))) for _ in range(4)]
    crops = [(torch.randn(5, 10, 3, 2, 2), labels) for _, labels in batches]
    for images in (batches, crops):
        here, there = score(collect_predictions(module, images)), score_batches(module, images)
        assert (here.images, here.top1_error, here.top5_error) == pytest.approx(
            (there.images, there.top1_error, there.top5_error)
        )
        assert here.loss == pytest.approx(there.loss, rel=1e-6)


def test_fewer_than_five_classes():
    few = Predictions(torch.tensor([[0.0, -1.0], [0.0, -1.0]]).log_softmax(1), torch.tensor([0, 1]))
    assert (score(few).top1_error, score(few).top5_error) == (0.5, 0.0)
