"""What needs torch: building modules, and training them."""
