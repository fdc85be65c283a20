"""Writes a trace as a spec, with groups, blocks and loops as a person would write them."""

from netspec.frontends.structure.spec import write_spec

__all__ = ["write_spec"]
