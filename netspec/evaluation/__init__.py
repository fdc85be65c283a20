"""Judging: trained networks from their checkpoints, on labelled images and on single ones."""
