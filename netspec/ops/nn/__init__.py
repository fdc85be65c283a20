"""PyTorch modules for layers that torch lacks; generated source contains copies of those it uses."""
