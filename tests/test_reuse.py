"""Classes of generated source, used with other arguments than the network's own, do what their block says."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import torch
from torch import nn

import netspec
from netspec import zoo
from netspec.checker import check_source
from netspec.diagnostics import Source
from netspec.emit.torch.names import identifier
from netspec.graph import Net, Scope
from netspec.language import ast as t
from netspec.language.parser import parse
from netspec.library import locate, read

LARGEST = 2**26
"""Parameters of a variant that is still tried."""


@dataclass(frozen=True)
class Use:
    """One use of a block: its class in the generated source, and what the spec calls the block with."""

    network: str
    kind: str
    scope: Scope
    channels: int
    size: tuple[int, ...]


def blocks(net: Net, scope: Scope) -> Iterator[Scope]:
    for child in scope.children:
        if isinstance(child, Scope):
            if child.block and child.shares is None:
                yield child
            yield from blocks(net, child)


def uses(name: str) -> list[Use]:
    """The first use of every class of a network."""
    network = netspec.load(name)
    with torch.device("meta"):
        module = network.module()
    found: dict[str, Use] = {}
    for scope in blocks(network.net, network.net.root):
        inside = set(scope.ids())
        inputs = {i for n in inside for i in network.net.nodes[n].inputs if i not in inside}
        kind = type(module.get_submodule(scope.path)).__name__
        if len(inputs) == 1 and kind not in found:
            shape = network.net.nodes[inputs.pop()].shape
            if len(shape) == 3 and type(shape).__name__ == "Shape":
                found[kind] = Use(name, kind, scope, shape.channels, tuple(shape))
    return list(found.values())


def variants(use: Use) -> Iterator[tuple[int, dict[str, object]]]:
    """Other channels and arguments, of which most blocks can take some."""
    own = dict(use.scope.arguments)
    whole = {n: v for n, v in own.items() if type(v) is int}
    for name, value in whole.items():
        if "kernel" in name:
            yield use.channels, own | {name: value + 2}
        if "stride" in name:
            yield use.channels, own | {name: 3 - value}
    wide = {n: 2 * v for n, v in whole.items() if v > 4}
    yield 2 * use.channels, own | wide
    yield 2 * use.channels, own
    yield use.channels, own | wide


def alone(use: Use, channels: int, arguments: dict[str, object]) -> netspec.Network | None:
    """The block in a network of its own, or None where it refuses the arguments."""
    found = locate(use.network)
    source = read(found.path)
    tree, _ = parse(source)
    kept = [s for s in tree.body.statements if isinstance(s, t.Block | t.Use | t.Bind | t.Default)]
    header = next(s for s in tree.body.statements if isinstance(s, t.Network))
    shape = "x".join(map(str, (channels, *use.size[1:])))
    given = ", ".join(f"{n}={spelled(v)}" for n, v in arguments.items())
    lines = [header.span.text, f"input image: {shape}", *(s.span.text for s in kept)]
    text = "\n".join([*lines, f"tried: {use.scope.block}({given})", ""])
    report = check_source(Source(source.path, text), found.path.parent, dict(found.arguments))
    return None if report.net is None else netspec.Network(report.net)


def spelled(value: object) -> str:
    from netspec.language.values import spell

    return repr(value) if isinstance(value, float) else spell(value)


def structure(module: nn.Module) -> list[object]:
    """The names of a module's parts, and the code of their forwards without its numbers."""
    codes = [(name, type(m).forward.__code__) for name, m in module.named_modules()]
    return [(name, code.co_code, code.co_names) for name, code in codes]


def differs(use: Use, source: str) -> tuple[bool, str]:
    """Whether any variant could be tried, and how a class differs from its block."""
    space: dict[str, object] = {"__name__": "tried"}
    exec(compile(source, "tried.py", "exec"), space)
    kind = space[use.kind]
    assert isinstance(kind, type)
    tried = False
    for channels, arguments in variants(use):
        network = alone(use, channels, arguments)
        if network is None or network.net.totals.params > LARGEST:
            continue
        values = {identifier(n): v for n, v in arguments.items()} | {"in_channels": channels}
        names = [n for n in inspect.signature(kind).parameters if n != "self"]
        if not set(names) <= values.keys():
            continue
        theirs = network.module().tried
        ours = kind(**{n: values[n] for n in names})
        if structure(ours) != structure(theirs):
            continue  # another branch of the block, which is another class
        tried = True
        shapes = [{k: tuple(v.shape) for k, v in m.state_dict().items()} for m in (ours, theirs)]
        if shapes[0] != shapes[1]:
            return True, f"{arguments} at {channels} channels: {shapes[0]} for {shapes[1]}"
        ours.load_state_dict(theirs.state_dict())
        x = torch.rand(1, channels, *use.size[1:])
        with torch.no_grad():
            if not torch.equal(ours.eval()(x), theirs.eval()(x)):
                return True, f"{arguments} at {channels} channels: other values"
    return tried, ""


FAMILIES = {zoo.card(name).family: name for name in reversed(zoo.names())}
"""One network of each family; the others have the same blocks."""


@pytest.mark.parametrize("name", FAMILIES.values())
def test_classes_take_other_arguments_as_their_block_does(name):
    source = netspec.load(name).source()
    results = {use.kind: differs(use, source) for use in uses(name)}
    assert {kind: said for kind, (_, said) in results.items() if said} == {}
    if name not in ("nin",):  # whose block the paper's filters alone fit
        assert not results or any(tried for tried, _ in results.values())


def test_a_formula_that_only_fits_the_networks_own_numbers_is_found(monkeypatch):
    source = netspec.load("mobilenet_v3_large").source()
    assert "padding=kernel // 2" in source
    wrong = source.replace("padding=kernel // 2", "padding=kernel // 3")
    assert any(differs(use, wrong)[1] for use in uses("mobilenet_v3_large"))
