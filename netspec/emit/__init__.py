"""Writers that turn a `Net` into PyTorch source, drawings, tables, JSON and HTML."""
