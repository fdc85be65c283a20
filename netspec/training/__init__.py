"""Training a checked network by its recipe, with the files of each run in a folder."""

from netspec.evaluation.run import Run
from netspec.training.callbacks import Callback
from netspec.training.trainer import resume, train

__all__ = ["Callback", "Run", "resume", "train"]
