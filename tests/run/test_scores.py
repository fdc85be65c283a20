"""Figures of merit, held against scikit-learn's and torch's own."""

from __future__ import annotations

import pytest
import torch
from sklearn import metrics
from torch import nn

from netspec.evaluation.metrics import Votes, by_class, collect, confusion_matrix, ensemble, score, worst
from netspec.evaluation.scoring import evaluate


def votes(seed: int, count: int = 300, classes: int = 8) -> Votes:
    stream = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes - 1, (count,), generator=stream)  # the last class has no image
    scores = torch.randn(count, classes, generator=stream) + 2 * nn.functional.one_hot(labels, classes)
    return Votes(scores.log_softmax(1), labels)


@pytest.mark.parametrize("seed", range(3))
def test_scores_are_scikit_learn_s(seed):
    heard = votes(seed)
    chances, labels = heard.scores.double().exp().numpy(), heard.labels.numpy()
    found, names = score(heard), range(8)
    assert found.images == 300
    assert 1 - found.top1_error == pytest.approx(metrics.accuracy_score(labels, chances.argmax(1)))
    top5 = metrics.top_k_accuracy_score(labels, chances, k=5, labels=names)
    assert 1 - found.top5_error == pytest.approx(top5)
    chances /= chances.sum(1, keepdims=True)
    assert found.loss == pytest.approx(metrics.log_loss(labels, chances, labels=names), rel=1e-6)


def test_confusion_matrix_is_scikit_learn_s():
    heard = votes(1)
    expected = metrics.confusion_matrix(heard.labels, heard.scores.argmax(1), labels=range(8))
    assert confusion_matrix(heard).tolist() == expected.tolist()


def test_classes_are_scikit_learn_s():
    heard = votes(2)
    report = metrics.classification_report(
        heard.labels, heard.scores.argmax(1), output_dict=True, zero_division=0
    )
    matrix = metrics.confusion_matrix(heard.labels, heard.scores.argmax(1), labels=range(8))
    found = list(by_class(heard))
    assert [c.label for c in found] == list(range(7))
    for c in found:
        assert 1 - c.top1_error == pytest.approx(report[str(c.label)]["recall"])
        assert c.images == report[str(c.label)]["support"]
        own = heard.scores[heard.labels == c.label]
        missed = (own.topk(5).indices != c.label).all(1).double().mean()
        assert c.top5_error == pytest.approx(missed.item())
        matrix[c.label, c.label] = 0
        assert c.times == matrix[c.label].max() == matrix[c.label, c.taken_for]


def test_worst_confusions():
    matrix = torch.tensor([[5, 2, 0], [7, 1, 2], [0, 0, 0]])
    found = [(c.true, c.guess, c.count, c.share) for c in worst(matrix)]
    assert found == [(1, 0, 7, 0.7), (0, 1, 2, 2 / 7), (1, 2, 2, 0.2)]
    assert [c.count for c in worst(matrix, 1)] == [7]


def test_the_ensemble_is_the_mean_of_probabilities():
    members = [votes(k) for k in range(5)]
    members = [Votes(m.scores, members[0].labels) for m in members]
    by_hand = torch.stack([m.scores.exp() for m in members]).mean(0)
    together = ensemble(members)
    assert torch.allclose(together.scores.exp(), by_hand, atol=1e-6)
    assert torch.equal(together.scores.argmax(1), by_hand.argmax(1))


def test_scores_are_those_of_validation():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(12, 6)).train()
    batches = [(torch.randn(5, 3, 2, 2), torch.randint(6, (5,))) for _ in range(4)]
    crops = [(torch.randn(5, 10, 3, 2, 2), labels) for _, labels in batches]
    for images in (batches, crops):
        here, there = score(collect(module, images)), evaluate(module, images)
        assert (here.images, here.top1_error, here.top5_error) == pytest.approx(
            (there.images, there.top1_error, there.top5_error)
        )
        assert here.loss == pytest.approx(there.loss, rel=1e-6)


def test_fewer_than_five_classes():
    few = Votes(torch.tensor([[0.0, -1.0], [0.0, -1.0]]).log_softmax(1), torch.tensor([0, 1]))
    assert (score(few).top1_error, score(few).top5_error) == (0.5, 0.0)
