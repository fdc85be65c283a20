"""Replaces each repeated call of a module by a single step, which becomes the statement `share(module)`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from netspec.frontends.trace import Step, Trace

RAW = ("param", "buffer")


def with_shared_modules(trace: Trace) -> Trace:
    """Return a trace in which each repeated call of a module is one step with the op `share`.

    Only calls that repeat the first one and have one input and one output are merged.
    """
    steps = trace.steps
    taken: dict[int, int] = {}
    kept: dict[int, Step] = {}
    for mark in dict.fromkeys(s.again for s in steps if s.again):
        again = [k for k, s in enumerate(steps) if s.again == mark]
        found = repetition(trace, mark.partition("@")[0], again)
        if found is not None:
            taken.update(dict.fromkeys(again, again[-1]))
            last = steps[again[-1]]
            kept[again[-1]] = Step("share", {}, (found,), last.shape, last.module, again=mark)
    if not kept:
        return trace
    new: dict[int, int] = {}
    made: list[Step] = []
    for k, step in enumerate(steps):
        if k in taken and k not in kept:
            continue
        step = kept.get(k, step)
        new[k] = len(made)
        shares = None if step.shares is None else new[step.shares]
        made.append(replace(step, inputs=tuple(new[i] for i in step.inputs), shares=shares))
    outputs, training = (tuple(new[i] for i in ids) for ids in (trace.outputs, trace.training))
    return replace(trace, steps=tuple(made), outputs=outputs, training=training)


def repetition(trace: Trace, path: str, again: Sequence[int]) -> int | None:
    """Return the input of a module in a repeated call; None if the call does not repeat the first one."""
    steps = trace.steps
    inside = [k for k, s in enumerate(steps) if s.module == path or s.module.startswith(f"{path}.")]
    first = [k for k in inside if steps[k].op not in RAW and not steps[k].again]
    if len(first) < 2 or len(first) != len(again) or again[-1] - again[0] + 1 != len(again):
        return None
    places = dict(zip(first, again, strict=True))
    taken: set[tuple[int, int]] = set()
    for k, other in places.items():
        ours, theirs = steps[k], steps[other]
        owner = k if ours.shares is None else ours.shares
        same = ours.op == theirs.op and ours.arguments == theirs.arguments
        if not same or theirs.shares not in (None, owner) or len(ours.inputs) != len(theirs.inputs):
            return None
        for i, j in zip(ours.inputs, theirs.inputs, strict=True):
            if i in places and places[i] != j:
                return None
            if i not in places and not (i == j and i in inside):
                taken.add((i, j))
    used = {i for k, s in enumerate(steps) if k not in again for i in s.inputs} | {
        *trace.outputs,
        *trace.training,
    }
    if len(taken) != 1 or used & set(again[:-1]):
        return None
    return taken.pop()[1]
