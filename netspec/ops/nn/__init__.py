"""PyTorch modules for layers that torch lacks; generated source contains copies of the modules it uses."""
