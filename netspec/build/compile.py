"""Generated source to a live module: exactly the text that `export` writes is executed."""

from __future__ import annotations

import hashlib
import linecache
import sys
import types

from torch import nn

from netspec.emit.torch import class_name, source
from netspec.emit.torch.names import identifier
from netspec.graph import Net


def build(net: Net) -> nn.Module:
    """Compile a network to a module, its weights freshly started.

    The text is registered with `linecache` and as a module in `sys.modules`, so that tracebacks, debuggers,
    `inspect.getsource` and pickling work as on hand-written code.
    """
    text = source(net)
    name = f"netspec_{identifier(net.name)}_{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    if name not in sys.modules:
        file = f"<netspec {net.name} {name[-12:]}>"
        linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
        made = types.ModuleType(name)
        made.__file__ = file
        exec(compile(text, file, "exec"), made.__dict__)
        sys.modules[name] = made
    module: nn.Module = getattr(sys.modules[name], class_name(net))()
    return module
