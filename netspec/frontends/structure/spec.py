"""Writes a trace as the text of a spec."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import count

from netspec.frontends.structure.again import with_shared_modules
from netspec.frontends.structure.blocks import Block, build, families, similar
from netspec.frontends.structure.loops import rolled
from netspec.frontends.structure.modules import Call, Module, nest
from netspec.frontends.structure.statements import Expression, Hidden, Statement, Writer
from netspec.frontends.structure.text import Text, value_text
from netspec.frontends.structure.tidy import tidy
from netspec.frontends.trace import Step, Trace, TraceError
from netspec.language.parser.grammar import words
from netspec.language.values import spell
from netspec.ops import OPS
from netspec.ops.base import single

MOST_ALIASES = 1000
"""The maximum number of aliases for values that a scope cannot refer to."""
PREFERRED = {"stride": 1, "dilation": 1, "groups": 1, "padding": 0}
"""The default values of parameters with these names, if at least one call passes that value."""


def write_spec(trace: Trace) -> str:
    """Return the text of a spec for a trace, with blocks for classes that occur more than once.

    Raises:
        TraceError: the calls of modules depend on each other in a cycle, or a reference cannot be written.
    """
    whole, trace = trace, with_shared_modules(trace)
    root = nest(trace)
    again = {step.again.partition("@")[0] for step in trace.steps if step.op == "share"}
    if again - {module.path for module in root.modules()}:
        trace, root = whole, nest(whole)
    tidy(root)
    groups = families(root)
    made: dict[Module, Block] = {}

    def call(module: Module) -> tuple[str, dict[str, object]]:
        return made[module].name, dict(made[module].arguments[module])

    outputs = (*trace.outputs, *trace.training)
    ends = () if outputs == (root.output,) else outputs
    writer = named(root, lambda: Writer(root, ends, {m for group in groups for m in group}, call))
    blocks = list(build_blocks(groups, writer, trace, made))
    statements = rolled(writer.body(root))
    bodies = [*(block.statements for block in blocks), statements]
    common = common_arguments(s for body in bodies for top in body for s in top.walk())
    defaults = {block.name: parameter_defaults(block) for block in blocks}
    text = Text({**defaults, **common}, {b.name: b.parameters for b in blocks})
    lines = [f"network {block_name(trace.name)}", ""]
    for step, name in zip(trace.steps, input_names(root), strict=False):
        options = "".join(f", {k}={v}" for k, v in step.arguments.items())
        lines.append(f"input {name}: {spell(tuple(step.shape))}{options}")
    for op, given in common.items():
        lines.append(f"default {op}({', '.join(f'{k}={value_text(v)}' for k, v in given.items())})")
    for block in blocks:
        lines += ["", *text.block(block, defaults[block.name])]
    lines += ["", *text.body(statements, 0)]
    if ends:
        lines += [f"output {', '.join(writer.reference(i, root) for i in trace.outputs)}"]
        lines += [f"output {writer.reference(i, root)} when training" for i in trace.training]
    return "\n".join(lines) + "\n"


def named(root: Module, write: Callable[[], Writer]) -> Writer:
    """Return a writer for a tree in which every scope can refer to the values that it uses.

    Aliases are added to the tree for values that a scope cannot refer to.
    """
    for _ in range(MOST_ALIASES):
        try:
            return write()
        except Hidden as hidden:
            add_alias(root, hidden)
    raise TraceError(f"more than {MOST_ALIASES} layers are hidden by layers with the same name")


def build_blocks(
    groups: Sequence[Sequence[Module]], writer: Writer, trace: Trace, made: dict[Module, Block]
) -> Iterator[Block]:
    """Yield the blocks for groups of modules, innermost first; add each to `made` for each of its modules."""
    taken: dict[str, int] = {}
    for group in groups:
        bodies = [rolled(writer.body(m)) for m in group]
        for form in similar(bodies):
            modules = [group[k] for k in form]
            arriving = [writer.owner[m.inputs()[0]].step.shape for m in modules]
            name = unique(block_name(modules[0].kind), taken)
            attributes = [trace.attributes.get(m.path, {}) for m in modules]
            block = build(name, modules, [bodies[k] for k in form], arriving, attributes)
            made.update(dict.fromkeys(modules, block))
            yield block


def add_alias(root: Module, hidden: Hidden) -> None:
    """Alias a value that a scope cannot refer to: insert an identity with another name after its module."""
    target, scope, value = hidden.target, hidden.scope, hidden.value
    parent = target.parent
    assert parent is not None
    new = max(call.id for call in root.calls()) + 1
    taken = {c.label for m in root.modules() for c in m.children}
    label = next(word for k in count(1) if (word := f"{word_of(target.label)}_out{k}") not in taken)
    step = Step("identity", {}, (value,), hidden.shape)
    parent.children.insert(parent.children.index(target) + 1, Call(new, step, parent, label))
    for call in scope.calls():
        inputs = tuple(new if i == value else i for i in call.step.inputs)
        call.step = replace(call.step, inputs=inputs)


def word_of(label: str) -> str:
    """Return a label as a word that can begin a path."""
    word = re.sub(r"\W", "_", label)
    return f"layer_{word}" if word[:1].isdigit() else word


def input_names(root: Module) -> list[str]:
    """Return the names of the network's inputs."""
    return [c.label for c in root.children if isinstance(c, Call) and c.step.op == "input"]


def block_name(kind: str) -> str:
    """Return a name for a block or network, made from the name of its class."""
    word = re.sub(r"[^A-Za-z0-9_]", "_", kind).strip("_") or "Network"
    word = word if word[0].isalpha() else f"Net{word}"
    return word.title() if word in OPS or word in words() else word


def unique(name: str, taken: dict[str, int]) -> str:
    """Return a name, with a number appended if it is already taken."""
    taken[name] = taken.get(name, 0) + 1
    return name if taken[name] == 1 else f"{name}_{taken[name]}"


def parameter_defaults(block: Block) -> dict[str, object]:
    """Return default values for parameters that some calls do not need to pass."""
    defaults: dict[str, object] = {}
    for name in block.parameters:
        values = [a[name] for a in block.arguments.values()]
        known = [v for v in values if v is not None and not isinstance(v, Expression)]
        if known and all(isinstance(v, bool) for v in known):
            defaults[name] = False
        elif name in PREFERRED and PREFERRED[name] in known:
            defaults[name] = PREFERRED[name]
        elif None in values:
            defaults[name] = known[0] if known else 0
    return defaults


def common_arguments(statements: Iterable[Statement]) -> dict[str, dict[str, object]]:
    """Return, by op, the arguments that are equal in all its layers but differ from the op's defaults."""
    found: dict[str, dict[str, list[object]]] = defaultdict(lambda: defaultdict(list))
    for statement in statements:
        if statement.call in OPS and OPS[statement.call].kind in ("conv", "dense", "norm", "pool"):
            for name, value in statement.arguments.items():
                found[statement.call][name].append(value)
    common: dict[str, dict[str, object]] = {}
    for op, arguments in found.items():
        for name, values in arguments.items():
            field = OPS[op].model_fields[name]
            alike = all(type(v) is type(values[0]) and v == values[0] for v in values)
            plain = not isinstance(values[0], Expression) and name not in OPS[op].by_position()
            if (
                len(values) > 2
                and alike
                and plain
                and not field.is_required()
                and values[0] != single(field.default)
            ):
                common.setdefault(op, {})[name] = values[0]
    return common
