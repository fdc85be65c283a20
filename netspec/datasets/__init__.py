"""Labelled images by name: the registry of data sets, and the code that reads each kind of them."""
