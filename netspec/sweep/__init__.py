"""Sweeps: a training run for every combination of settings and seeds."""

from netspec.sweep.runs import Result, Row, SweepInterrupted, run_sweep

__all__ = ["Result", "Row", "SweepInterrupted", "run_sweep"]
