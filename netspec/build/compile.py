"""Generated source to a live module: exactly the text that `netspec export` writes is executed."""

from __future__ import annotations

import copyreg
import hashlib
import linecache
import sys
import types
from typing import Any

from torch import nn

from netspec.emit.torch import class_name, source
from netspec.emit.torch.names import identifier
from netspec.graph import Net


def build(net: Net) -> nn.Module:
    """Compile a network to a module with freshly initialised weights.

    The source is registered with `linecache` and as a Python module, so that tracebacks, debuggers and
    `inspect.getsource` work as on hand-written code. Pickling stores the source too, so that another process
    with netspec installed can load the module.
    """
    text = source(net)
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    name = f"netspec_{identifier(net.name)}_{digest}"
    module: nn.Module = getattr(_execute(text, name), class_name(net))()
    return module


def _execute(text: str, name: str) -> types.ModuleType:
    """Execute a source as the Python module `name`, once in a process."""
    if name not in sys.modules:
        file = f"<{name}>"
        linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
        made = types.ModuleType(name)
        made.__file__ = file
        exec(compile(text, file, "exec", dont_inherit=True), made.__dict__)
        sys.modules[name] = made
        for value in vars(made).values():
            if isinstance(value, type) and value.__module__ == name:
                copyreg.pickle(value, _Reducer(text, name))
    return sys.modules[name]


class _Reducer:
    """Pickles instances of the classes of one source as that source, the name of the class, and the state."""

    def __init__(self, text: str, name: str) -> None:
        self.text, self.name = text, name

    def __call__(self, instance: Any) -> tuple[Any, ...]:
        return _new, (self.text, self.name, type(instance).__qualname__), instance.__dict__


def _new(text: str, name: str, kind: str) -> object:
    """An uninitialised instance of a class of a source, whose state pickle sets next."""
    made = getattr(_execute(text, name), kind)
    return made.__new__(made)
