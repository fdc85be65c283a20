"""A plug-in for netspec: an op, a data set and an output format."""
