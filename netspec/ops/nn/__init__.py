"""Layers that PyTorch has no module for, as PyTorch: their text goes into the source that uses them."""
