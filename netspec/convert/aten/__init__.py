"""Converts ATen operators to netspec ops, with one function for each kind of operator."""

from netspec.convert.aten import activations, arithmetic, axes, images, layers, products, selection

__all__ = ["activations", "arithmetic", "axes", "images", "layers", "products", "selection"]
