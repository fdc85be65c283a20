"""Training a checked network according to its recipe. Each run has a folder for its files."""

from netspec.evaluation.run import Run
from netspec.training.callbacks import Callback
from netspec.training.trainer import resume, train

__all__ = ["Callback", "Run", "resume", "train"]
