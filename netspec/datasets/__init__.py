"""Data sets of labelled images: a registry of their names, and a reader for each kind."""
