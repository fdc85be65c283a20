"""How ATen operators become ops of netspec, one function for each kind of operator."""

from netspec.convert.aten import activations, arithmetic, axes, images, layers, products, selection

__all__ = ["activations", "arithmetic", "axes", "images", "layers", "products", "selection"]
