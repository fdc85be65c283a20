"""Modules from networks: compiled from their source, with published weights, on a device."""
