"""The files of a training run: checkpoints, the spec that they carry, and logs."""
