"""Evaluation of trained models: scores on labelled images, predictions for image files, and figures."""

from netspec.evaluation.evaluation import Evaluation, evaluate
from netspec.evaluation.prediction import Prediction, predict
from netspec.evaluation.run import Run

__all__ = ["Evaluation", "Prediction", "Run", "evaluate", "predict"]
