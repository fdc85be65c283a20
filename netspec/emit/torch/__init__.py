"""Generates PyTorch source from a `Net`: readable Python that imports only torch."""

from __future__ import annotations

from netspec.emit.torch.classes import Classes
from netspec.emit.torch.foreign import foreign_source
from netspec.emit.torch.helpers import needed
from netspec.emit.torch.names import unique
from netspec.emit.torch.style import statement
from netspec.emit.torch.templates import Template
from netspec.graph import Net


def source(net: Net) -> str:
    """Return a network as Python source, with one nn.Module class for each distinct block of the spec."""
    foreign = foreign_source(net)
    classes = Classes(net, class_name(net), foreign.names)
    root = classes.root.template
    bodies = [
        write(t, classes.starts.loop() if t is root else [], describe(net) if t is root else None)
        for t in classes.templates.values()
    ]
    text = "\n\n\n".join([*needed("\n".join(bodies)), *foreign.definitions, *bodies])
    imports = {"from torch import nn", *foreign.imports}
    if "torch." in text:
        imports.add("import torch")
    if "OrderedDict(" in text:
        imports.add("from collections import OrderedDict")
    return "\n".join([*import_lines(imports), "", "", text, ""])


def class_name(net: Net) -> str:
    """Return the name of the network's class in the generated source."""
    return unique(net.name, foreign_source(net).names)


def import_lines(imports: set[str]) -> list[str]:
    """Return import statements in order: torch's imports last, and `import` before `from`."""
    ordered = sorted(imports, key=lambda line: (line.startswith("from"), line))
    torch = [line for line in ordered if line.split()[1].split(".")[0] == "torch"]
    others = [line for line in ordered if line not in torch]
    return [*others, "", *torch] if others else torch


def describe(net: Net) -> str:
    """Return the docstring of the network's class, without double quotes, which could end it."""
    arguments = ", ".join(f"{name}={value!r}" for name, value in net.arguments.items())
    head = f"{net.name}({arguments})" + (f": {net.citation}" if net.citation else "")
    inputs = ", ".join(f"{n.name} ({n.shape})" for n in net.inputs)
    outputs = ", ".join(f"{o.name} ({net.nodes[o.node].shape})" for o in net.outputs)
    text = f"{head}.\n\nTakes batches of {inputs}; returns {outputs}."
    return (
        "".join(c if c == "\n" or c.isprintable() else " " for c in text)
        .replace("\\", "\\\\")
        .replace('"', "'")
    )


def write(template: Template, extra: list[str], docstring: str | None) -> str:
    """Return the source of one class."""
    lines = [f"class {template.name}(nn.{'Sequential' if template.sequential else 'Module'}):"]
    if docstring:
        first, _, rest = docstring.partition("\n")
        lines += [f'    """{first}'] + [f"    {line}".rstrip() for line in rest.split("\n")] + ['    """', ""]
    given = [f"{p}={template.defaults[p]}" if p in template.defaults else p for p in template.parameters]
    lines += statement(f"def __init__({', '.join(['self', *given])}):", 4)
    for text in [*template.init(), *extra]:
        lines += statement(text, 8)
    if template.sequential:
        return "\n".join(lines)
    lines += ["", f"    def forward(self, {', '.join(template.inputs)}):"]
    for text in template.forward:
        lines += statement(text, 8)
    return "\n".join(lines)
