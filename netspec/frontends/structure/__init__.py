"""From a trace to a spec: groups, blocks and loops, as a person would write them."""

from netspec.frontends.structure.spec import write_spec

__all__ = ["write_spec"]
