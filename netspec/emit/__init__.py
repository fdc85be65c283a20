"""Net to text: PyTorch source, pictures, tables, JSON."""
