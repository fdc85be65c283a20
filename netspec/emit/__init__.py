"""Functions that turn a `Net` into PyTorch source, drawings, tables, JSON or HTML."""
