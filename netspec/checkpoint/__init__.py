"""The files of a run: checkpoints, logs, and the spec that a checkpoint carries."""
