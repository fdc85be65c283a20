"""Writes the body of `forward`, with a line for each step."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from netspec.emit.torch.names import unique
from netspec.emit.torch.wiring import Step, Wiring
from netspec.graph import Scope

PLAIN = "xyzuvw"
"""The variables for tensors that are used only once, by the next step."""


def join_inline(steps: Sequence[Step], keep: set[int]) -> list[Step]:
    """Return the steps, with expressions such as `a + b` inlined if only the next step uses them."""
    users: dict[int, list[int]] = {}
    for k, step in enumerate(steps):
        for value in step.inputs:
            users.setdefault(value, []).append(k)
    waiting: dict[int, Step] = {}
    joined: list[Step] = []
    for k, own in enumerate(steps):
        step = substitute(own, waiting)
        used = users.get(own.outputs[0], []) if own.outputs else []
        near = used == [k + 1] or (len(used) == 1 and not own.inputs)
        if own.inline and near and own.outputs[0] not in keep:
            waiting[own.outputs[0]] = step
        else:
            joined.append(step)
    return joined


def substitute(user: Step, waiting: dict[int, Step]) -> Step:
    """Return a step with the expressions in `waiting` inlined in place of its inputs."""
    infix = re.search(r"(^|[-+*/] )\{\}( [-+*/]|$)|\{\}[.\[]", user.text)
    holes, inputs = [], list[int]()
    for value in user.inputs:
        step = waiting.pop(value, None)
        compound = infix and step and any(f" {sign} " in step.text for sign in "+-*/")
        holes.append("{}" if step is None else f"({step.text})" if compound else step.text)
        inputs += (value,) if step is None else step.inputs
    return replace(user, text=user.text.format(*holes), inputs=tuple(inputs))


def forward(wiring: Wiring, scope: Scope, inputs: Sequence[tuple[int, str]]) -> list[str]:
    """Return the lines of a scope's `forward` method.

    A tensor that only the next step uses is named `x`; a tensor that is used later is named after its label.
    Tensors are deleted after their last use.
    """
    io = wiring.interface(scope)
    root = not scope.path
    returned = [wiring.alias[o.node] for o in wiring.net.outputs] if root else list(io.outputs)
    steps = join_inline(wiring.steps(scope), set(returned))
    last = {value: k for k, step in enumerate(steps) for value in step.inputs}
    last |= dict.fromkeys(returned, len(steps))
    used = Counter(value for step in steps for value in set(step.inputs))
    names, arguments = dict(inputs), {name for _, name in inputs}
    owners = {name: last.get(value, -1) for value, name in inputs}
    lines: list[str] = []
    for k, step in enumerate(steps):
        call = step.text.format(*(names[i] for i in step.inputs))
        dying = list(dict.fromkeys(names[i] for i in step.inputs if last[i] == k))
        held = {name for name, until in owners.items() if until > k}
        final = k == len(steps) - 1
        free = [n for n in dying if n not in held]
        if step.grown is not None:
            name = names[step.grown]
            names[step.outputs[0]], owners[name] = name, last.get(step.outputs[0], -1)
            free.remove(name)
            lines += [call, *deleted(free, arguments, final)]
            continue
        if final and not root and step.outputs == tuple(returned) and not step.training:
            return [*lines, f"return {call}"]
        if final and root and returned == list(step.outputs) and not wiring.training_only:
            return [*lines, f"return {call}"]
        targets: list[str] = []
        for output in step.outputs:
            taken = held | set(targets) | set(free)
            kept = used[output] > 1 or (output in returned and len(returned) > 1)
            name = next((n for n in free if n in PLAIN), "")
            if kept or beside_named(wiring, names, output):
                name = fresh_name(step.label, taken)
            elif not name:
                name = fresh_name(step.label if last.get(output, -1) > k + 1 else "", taken)
            free = [n for n in free if n != name]
            arguments.discard(name)
            targets.append(name)
            names[output], owners[name] = name, last.get(output, -1)
        otherwise = f" if self.training else {', '.join(['None'] * len(targets))}" if step.training else ""
        lines.append(f"{', '.join(targets) or '_'} = {call}{otherwise}")
        lines += deleted(free, arguments, final)
    return [*lines, *returns(wiring, returned, names, root)]


def deleted(free: Sequence[str], arguments: set[str], final: bool) -> list[str]:
    """Return a line that deletes unused tensors; arguments are skipped, since the caller holds them too."""
    dead = [] if final else [n for n in free if n not in arguments]
    return [f"del {', '.join(dead)}"] if dead else []


def beside_named(wiring: Wiring, names: Mapping[int, str], output: int) -> bool:
    """Return True if a tensor is merged with others that are named after their labels, such as branches."""
    merges = (u for u in wiring.real_users(output) if u >= 0 and wiring.net.nodes[u].op.kind == "merge")
    others = {wiring.alias[i] for u in merges for i in wiring.net.nodes[u].inputs} - {output}
    return any(names.get(i, "x") not in PLAIN for i in others)


def fresh_name(label: str, taken: set[str]) -> str:
    """Return a variable for a tensor: its label, or a name in PLAIN if the label is a number."""
    if label and not label.isdigit():
        return unique(label, taken)
    return next((n for n in PLAIN if n not in taken), None) or unique("x", taken)


def returns(wiring: Wiring, returned: Sequence[int], names: dict[int, str], root: bool) -> list[str]:
    """Return the lines of the return statement; in training, it includes auxiliary outputs."""
    if not root:
        return [f"return {', '.join(names[i] for i in returned)}"] if returned else ["return None"]
    outputs = wiring.net.outputs
    always = ", ".join(names[wiring.alias[o.node]] for o in outputs if not o.training)
    if not any(o.training for o in outputs):
        return [f"return {always}"]
    everything = ", ".join(names[wiring.alias[o.node]] for o in outputs)
    return [
        "if torch.jit.is_scripting() or self.training:",
        f"    return {everything}",
        f"return {always}",
    ]
