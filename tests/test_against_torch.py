"""Shapes and counts against torch's own: on random networks, and op by op over their arguments."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from networks import network
from torch import nn

from netspec.build import build
from netspec.checker import check_source
from netspec.diagnostics import Source
from netspec.emit.torch import source
from netspec.language.formatter import format_source, format_tree
from netspec.language.parser import parse
from netspec.ops import OPS
from netspec.shape import Shape, ShapeError

ACCEPTED = {"accepted": 0, "refused": 0}


def check_text(text: str):
    return check_source(Source("random.net", text), Path())


@settings(max_examples=1600, deadline=None, suppress_health_check=list(HealthCheck))
@given(network())
def test_random_networks(text):
    report = check_text(text)
    if not report.net:
        ACCEPTED["refused"] += 1
        return
    ACCEPTED["accepted"] += 1
    net = report.net
    with torch.device("meta"):
        module = build(net).train()
        seen: dict[str, list[tuple[int, ...]]] = {}
        for name, child in module.named_modules():
            child.register_forward_hook(
                lambda m, x, y, name=name: seen.setdefault(name, []).append(tuple(y.shape[1:]))
            )
        result = module(torch.empty(2, *net.inputs[0].shape))
    assert tuple(result.shape) == (2, *net.nodes[net.outputs[0].node].shape)
    modules, state = dict(module.named_modules()), module.state_dict()
    for node in net.layers:
        if node.name in seen:
            assert seen[node.name] == [tuple(node.shape)], node.name
            assert node.params == sum(p.numel() for p in modules[node.name].parameters())
            assert node.buffers == sum(b.numel() for b in modules[node.name].buffers())
        for tensor in node.tensors:
            assert (
                tuple(state.pop(f"{node.name}.{tensor.name}" if tensor.name else node.name).shape)
                == tensor.shape
            )
    assert not state
    assert net.totals.params == sum(p.numel() for p in module.parameters())


def test_enough_random_networks_were_built():
    if not sum(ACCEPTED.values()):
        pytest.skip("test_random_networks did not run in this process")
    assert ACCEPTED["accepted"] >= 500


WINDOWS = list(product(range(1, 10), (1, 2, 3), (1, 2, 3), (0, 1, 2), (1, 2), (False, True)))


def torch_size(make, size: int) -> int | None:
    """The output size that torch gives, or None where it refuses."""
    try:
        return make()(torch.zeros(1, 2, size, size)).shape[-1]
    except (RuntimeError, ValueError):
        return None


def our_size(op: str, size: int, **arguments) -> int | None:
    try:
        return OPS[op](**arguments).infer(Shape((2, size, size))).width
    except ShapeError:
        return None


def test_convolutions_accept_what_torch_accepts():
    for size, k, s, p, d, _ in WINDOWS:
        expected = torch_size(lambda k=k, s=s, p=p, d=d: nn.Conv2d(2, 2, k, s, p, d), size)
        assert our_size("conv", size, channels=2, kernel=k, stride=s, padding=p, dilation=d) == expected


@pytest.mark.parametrize(("op", "module"), [("maxpool", nn.MaxPool2d), ("avgpool", nn.AvgPool2d)])
def test_pools_accept_what_torch_accepts(op, module):
    for size, k, s, p, _, ceil in WINDOWS:
        expected = torch_size(lambda k=k, s=s, p=p, c=ceil: module(k, s, p, ceil_mode=c), size)
        assert our_size(op, size, kernel=k, stride=s, padding=p, ceil=ceil) == expected, (size, k, s, p, ceil)


def test_transposed_convolutions_accept_what_torch_accepts():
    for size, k, s, p, d, extra in WINDOWS:
        arguments = {"stride": s, "padding": p, "output_padding": int(extra), "dilation": d}
        expected = torch_size(lambda k=k, a=arguments: nn.ConvTranspose2d(2, 2, k, **a), size)
        assert our_size("deconv", size, channels=2, kernel=k, **arguments) == expected


@settings(max_examples=300, deadline=None)
@given(network())
def test_formatting_preserves_the_syntax_tree(text):
    tree, faults = parse(Source("random.net", text))
    assert not faults
    formatted = format_tree(tree)
    again, faults = parse(Source("random.net", formatted))
    assert not faults
    assert again == tree
    assert format_source(Source("random.net", formatted)) == formatted


@settings(max_examples=200, deadline=None)
@given(network(), st.data())
def test_a_damaged_spec_gives_diagnostics_and_no_exception(text, data):
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text) - 1))
        junk = data.draw(
            st.sampled_from(
                ["", "(", ")", "{", "}", "[", "]", "\n", '"', "->", "@", ":", "=", ",", "if", "in"]
            )
        )
        text = text[:at] + junk + text[at + data.draw(st.integers(0, 3)) :]
    report = check_text(text)
    assert report.net or report.diagnostics


def test_generated_source_is_stable():
    text = "network A\ninput x: 3x8x8\nconv(4, 3); relu\nflatten; linear(3)\n"
    net = check_text(text).require()
    assert source(net) == source(check_text(text).require())
