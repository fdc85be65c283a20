"""Sweeps: a training for every combination of settings."""
