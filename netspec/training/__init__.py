"""Training: from a checked network, a recipe and images to the folder of a run."""

from netspec.evaluation.run import Run
from netspec.training.callbacks import Callback
from netspec.training.trainer import resume, train

__all__ = ["Callback", "Run", "resume", "train"]
