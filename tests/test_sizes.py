"""Input sizes that a fault suggests, claims under another input, and slips that several layers share."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from netspec.checker import Report, check_source
from netspec.diagnostics import Source, render
from netspec.emit.formats import Options, find
from netspec.shape import Shape


def check(body: str, declared: str = "3x32x32", **inputs: Shape) -> Report:
    text = f"network Net\ninput image: {declared}\n{body}"
    return check_source(Source("net.net", text), Path(), inputs=inputs)


TWO = "block Two(c) { conv(c, 3%s); relu; conv(c, 3%s) }\n"
UNET = TWO % (", padding=1", ", padding=1") + "\n".join(
    [
        *(f"enc{k}: Two({8 * 2**k}); maxpool(2)" for k in range(4)),
        "Two(64)",
        *(f"up{k}: upsample(2); concat(up{k}, enc{k}); Two({8 * 2**k})" for k in (3, 2, 1, 0)),
    ]
)
NEVER = "a: conv(8, 1); b: conv(8, 3)\nadd(a, b)"
BRANCHES = "a: conv(8, 3, stride=2, padding=1); b: maxpool(2) <- image\nconcat(a, b)"
DISAGREEING = {
    "U-Net": (UNET, "3x700x700", "688x688 or 704x704"),
    "U-Net, not square": (UNET, "3x700x500", "688x496 or 704x512"),
    "a strided and a pooled branch": (BRANCHES, "3x57x57", "56x56 or 58x58"),
}


@pytest.mark.parametrize(("body", "image", "sizes"), DISAGREEING.values(), ids=DISAGREEING)
def test_the_nearest_sizes_that_work(body, image, sizes):
    (found,) = check(body, image).diagnostics
    assert found.code == "branches-disagree"
    assert found.help == f"an input of {sizes} works"
    for size in sizes.split(" or "):
        assert check(body, f"3x{size}").ok


def test_the_nearest_sizes_of_a_square_network_are_those_of_brute_force():
    (found,) = check(BRANCHES, "3x101x101").diagnostics
    working = [side for side in range(1, 200) if check(BRANCHES, f"3x{side}x{side}").ok]
    nearest = max(s for s in working if s < 101), min(s for s in working if s > 101)
    assert found.help == "an input of {0}x{0} or {1}x{1} works".format(*nearest)


def test_a_network_that_works_at_no_size_gets_no_size():
    (found,) = check(NEVER).diagnostics
    assert found.code == "branches-disagree"
    assert found.help is None


SMALL = {
    "AlexNet's first layers": "conv(96, 11, stride=4); maxpool(3, stride=2); conv(256, 5); maxpool(3)",
    "poolings": "\n".join(["conv(8, 3); maxpool(2)"] * 5),
    "a large kernel": "conv(8, 90)",
}


@pytest.mark.parametrize("body", SMALL.values(), ids=SMALL)
def test_the_smallest_size_that_works_is_that_of_brute_force(body):
    found = check(body).diagnostics[-1]
    assert found.code == "empty-output"
    side = next(side for side in range(33, 500) if check(body, f"3x{side}x{side}").ok)
    assert found.help is not None
    assert found.help.endswith(f"an input of {side}x{side} works, and none smaller")


def test_a_large_network_is_not_checked_again_and_again():
    body = "\n".join(["conv(8, 3, padding=1); relu"] * 2000) + "\na: maxpool(2) <- image\nadd(a, relu)"
    (found,) = [d for d in check(body).diagnostics if d.severity == "error"]
    assert found.code == "branches-disagree"
    assert found.help is None


def test_every_layer_that_shrank_is_shown_and_padding_is_suggested():
    body = """conv1: conv(16, 3); relu
conv2: conv(16, 5); relu
maxpool(2)
conv3: conv(64, 3); relu
conv4: conv(64, 3); relu
maxpool(2)
flatten -> 3136
linear(10)"""
    (found,) = check(body, "1x28x28").diagnostics
    assert found.help == (
        "with padding=1 in conv1, conv3 and conv4 and padding=2 in conv2, the sizes stay the same, "
        "and then flatten gives 3136"
    )
    assert len(found.labels) == 6
    padded = re.sub(r"conv\((\d+), (\d)\)", lambda m: f"conv({m[1]}, {m[2]}, padding={int(m[2]) // 2})", body)
    assert check(padded, "1x28x28").ok


def test_the_iterations_of_a_loop_are_told_apart():
    body = "a: identity\nfor i in range(3) { maxpool(2) }\nadd(a, maxpool_3)"
    (found,) = check(body, "8x30x30").diagnostics
    assert "8x30x30 -> 8x15x15, 8x15x15 -> 8x7x7, 8x7x7 -> 8x3x3" in render(found)


CLAIMS = {
    "channels": ("conv(8, 3) -> 16x30x30", "16x?x?"),
    "a computed size": ("maxpool(2) -> ?x{in.height}x?", "?x64x?"),
    "a size of another layer": ("a: conv(8, 3); b: conv(8, 3) -> 8x{a.height}x30", "8x62x?"),
}


@pytest.mark.parametrize(("body", "claim"), CLAIMS.values(), ids=CLAIMS)
def test_claims_that_hold_for_any_input_are_still_compared(body, claim):
    (found,) = check(body, image=Shape((3, 64, 64))).diagnostics
    assert found.code == "shape-mismatch"
    assert f"but {claim} is claimed" in found.message


@pytest.mark.parametrize(
    "body", ["conv(8, 3) -> 8x30x30", "conv(8, 3); flatten -> 7200", "conv(8, 4, stride=2) -> ?x15x{5 * 3}"]
)
def test_other_claims_are_not_compared_with_another_input(body):
    report = check(body, image=Shape((3, 64, 64)))
    assert report.ok
    assert any("only those that hold for any input were compared" in remark for remark in report.remarks)


PADDINGS = ["conv(8, 3, padding=same)", 'conv(8, 3, padding="same")', "maxpool(2, padding=half)"]


@pytest.mark.parametrize("body", PADDINGS)
def test_paddings_of_other_frameworks_are_explained(body):
    (found,) = check(body).diagnostics
    assert found.code == "wrong-type"
    assert "for an odd kernel at stride 1, padding=kernel // 2 keeps the size" in found.message


def test_a_number_in_place_of_a_list_is_explained():
    found = check("rescale(-1, 0)").diagnostics
    assert [d.help for d in found] == [
        "a list is written in brackets, as in `rescale(scale=[-1, -1])`",
        "a list is written in brackets, as in `rescale(shift=[0, 0])`",
    ]


def test_layers_without_weights_are_not_said_to_share_them():
    report = check("tower: { conv(3, 3, padding=1); relu }\nshare(tower)")
    text = find("table").write([report], Options())
    assert text.count("(weights of") == 1


@pytest.mark.parametrize("body", ["conv(8, 3, padding=valid)", 'avgpool(2, padding="VALID")'])
def test_valid_padding_is_none(body):
    (found,) = check(body).diagnostics
    assert found.message.endswith("padding=0 is what other frameworks call `valid`")


def test_equal_sizes_in_different_layouts_are_told_apart():
    (found,) = check("add { channels_last; identity }", "8x8x8").diagnostics
    assert found.message == "8x8x8 and 8x8x8 cannot be added: only some have their channels last"
    assert (found.help or "").startswith("put `channels_first` before it")
