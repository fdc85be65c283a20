"""Builds blocks for classes of modules, with parameters for what differs between the modules."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from netspec.frontends.structure.modules import CONTAINERS, Module
from netspec.frontends.structure.parameters import Parameters, same
from netspec.frontends.structure.statements import Statement
from netspec.shape import Shape

LEAST_SHARED = 0.5
"""The minimum fraction of statements that modules of a class must have in common to become one block."""


@dataclass
class Block:
    """A block of the spec: its name, parameters and statements, and the arguments of each of its modules."""

    name: str
    parameters: list[str]
    statements: list[Statement]
    arguments: dict[Module, dict[str, object]]


@dataclass
class Merged:
    """One statement as it occurs in several modules of the same class.

    `versions[i]` is the statement in module i, or None if that module does not have it.
    """

    versions: list[Statement | None]
    body: list[Merged] = field(default_factory=list)

    @property
    def first(self) -> Statement:
        return next(v for v in self.versions if v is not None)

    @property
    def presence(self) -> tuple[bool, ...]:
        return tuple(v is not None for v in self.versions)


def is_candidate(module: Module) -> bool:
    """Return True if a module can become a block: it has one input, and its class is not a container."""
    return module.kind not in CONTAINERS and module.parent is not None and len(module.inputs()) == 1


def families(root: Module) -> list[list[Module]]:
    """Return groups of modules that can share blocks: the modules of each class, innermost classes first.

    The modules of a class that contains itself are grouped by the number of levels inside them.
    """
    groups: dict[tuple[str, int], list[Module]] = defaultdict(list)
    recursive = {
        m.kind for m in root.modules() for inner in m.modules() if inner is not m and inner.kind == m.kind
    }
    for module in root.modules():
        if is_candidate(module):
            groups[module.kind, module.height if module.kind in recursive else 0].append(module)
    shared = [group for group in groups.values() if len(group) > 1]
    return sorted(shared, key=lambda group: max(m.height for m in group))


def merge_bodies(bodies: Sequence[Sequence[Statement]]) -> list[Merged]:
    """Align the statements of modules; a statement that a module does not have is None there."""
    merged = [Merged([s]) for s in bodies[0]]
    for k, body in enumerate(bodies[1:], 1):
        keys = [m.first.key for m in merged]
        matcher = SequenceMatcher(None, keys, [s.key for s in body], autojunk=False)
        result: list[Merged] = []
        for tag, a, b, c, d in matcher.get_opcodes():
            if tag == "equal":
                for old, new in zip(merged[a:b], body[c:d], strict=True):
                    old.versions.append(new)
                    result.append(old)
                continue
            for old in merged[a:b]:
                old.versions.append(None)
                result.append(old)
            result += [Merged([None] * k + [new]) for new in body[c:d]]
        merged = result
    for each in merged:
        if any(v and v.body for v in each.versions):
            present = [v.body for v in each.versions if v is not None]
            each.body = spread(merge_bodies(present), each.presence)
    return merged


def spread(merged: list[Merged], presence: tuple[bool, ...]) -> list[Merged]:
    """Insert None for the modules that do not have the group around these statements."""
    for each in merged:
        versions = iter(each.versions)
        each.versions = [next(versions) if present else None for present in presence]
        each.body = spread(each.body, presence)
    return merged


def walk(merged: Sequence[Merged], around: str | None = None) -> Iterator[tuple[Merged, str | None]]:
    """Yield each statement with its label; if it has none, with the label of the group around it."""
    for each in merged:
        own = each.first.label
        label = own if own and own.isidentifier() else around
        yield each, label
        yield from walk(each.body, label)


def similar(bodies: Sequence[Sequence[Statement]]) -> list[list[int]]:
    """Group modules whose bodies have enough statements in common (LEAST_SHARED); return their indices."""
    forms: list[list[int]] = []
    for k, body in enumerate(bodies):
        for form in forms:
            shared = alike(bodies[form[0]], body)
            if shared >= LEAST_SHARED:
                form.append(k)
                break
        else:
            forms.append([k])
    return forms


def alike(first: Sequence[Statement], second: Sequence[Statement]) -> float:
    """Return the fraction of statements that two bodies have in common."""
    ours, theirs = ([s.key for top in body for s in top.walk()] for body in (first, second))
    return float(SequenceMatcher(a=ours, b=theirs, autojunk=False).ratio())


def build(
    name: str,
    modules: Sequence[Module],
    bodies: Sequence[list[Statement]],
    arriving: list[Shape],
    attributes: list[Mapping[str, object]],
) -> Block:
    """Build the block of modules with similar statements; `bodies` are their statements."""
    merged = merge_bodies(bodies)
    parameters = Parameters(arriving, attributes)
    for each, label in walk(merged):
        for argument in each.first.arguments:
            column = [v.arguments[argument] if v else None for v in each.versions]
            present = [value for value in column if value is not None]
            known = parameters.known(argument, column) if None in column else None
            if known:
                text: object = known
            elif all(same(value, present[0]) for value in present):
                text = present[0] if present else None
            else:
                text = parameters.sizes(argument, label, column) or parameters.express(
                    argument, label, column
                )
            for version in each.versions:
                if version:
                    version.arguments[argument] = text
    statements = fold(merged, parameters)
    arguments = {
        module: {name: values[k] for name, values in parameters.columns.items()}
        for k, module in enumerate(modules)
    }
    return Block(name, list(parameters.columns), statements, arguments)


def fold(merged: Sequence[Merged], parameters: Parameters) -> list[Statement]:
    """Return the statements of a block; statements that only some modules have are put into conditions."""
    count = len(merged[0].versions) if merged else 0
    result: list[Statement] = []
    at = 0
    around = tuple(any(m.presence[k] for m in merged) for k in range(count))
    while at < len(merged):
        presence = merged[at].presence
        end = at
        while end < len(merged) and merged[end].presence == presence:
            end += 1
        run = [single(m, parameters) for m in merged[at:end]]
        at = end
        if presence == around:
            result += run
            continue
        opposite = tuple(a and not p for a, p in zip(around, presence, strict=True))
        other: list[Statement] = []
        if at < len(merged) and merged[at].presence == opposite:
            while at < len(merged) and merged[at].presence == opposite:
                other.append(single(merged[at], parameters))
                at += 1
        result.append(condition(run, other, presence, around, parameters))
    return result


def single(merged: Merged, parameters: Parameters) -> Statement:
    """Return the statement that represents a merged statement in the block."""
    statement = merged.first
    if merged.body:
        statement.body = fold(merged.body, parameters)
    return statement


def condition(
    run: list[Statement],
    other: list[Statement],
    presence: tuple[bool, ...],
    around: tuple[bool, ...],
    parameters: Parameters,
) -> Statement:
    """Return a condition on a parameter that chooses between statements.

    `run` are the statements of modules where `presence` is true, `other` those of the other modules. Modules
    where `around` is false do not contain the condition.
    """
    for name, values in parameters.columns.items():
        known = [(v, p) for v, p, a in zip(values, presence, around, strict=True) if a]
        if all(type(v) is bool for v, _ in known):
            if all(v == p for v, p in known):
                return Statement("", condition=name, body=run, otherwise=other)
            if all(v != p for v, p in known):
                return Statement("", condition=f"not {name}", body=run, otherwise=other)
        counts = [(v, p) for v, p in known if type(v) is int]
        if len(counts) == len(known):
            if all((v > 1) == p for v, p in counts):
                return Statement("", condition=f"{name} > 1", body=run, otherwise=other)
            if all((v == 1) == p for v, p in counts):
                return Statement("", condition=f"{name} == 1", body=run, otherwise=other)
    first = run[0]
    word = first.label if first.label and first.label.isidentifier() else (first.call or "extra")
    column: list[object] = [p if a else None for p, a in zip(presence, around, strict=True)]
    name = parameters.unused(parameters.attribute(column) or f"with_{word.lower()}")
    parameters.columns[name] = column
    return Statement("", condition=name, body=run, otherwise=other)
