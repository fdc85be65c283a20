"""Labelled images by name; `info` and `registry` know the sets, and torch is imported where one is opened."""
