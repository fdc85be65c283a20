"""Data sets of labelled images: the registry of their names, and the readers of each kind."""
