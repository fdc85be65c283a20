"""Slips that people bring from PyTorch and from papers get a diagnostic with a way out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

import netspec
from netspec.checker import Report, check_source
from netspec.checker.suggestions import ADVICE, SYNONYMS, plain_name
from netspec.diagnostics import Source
from netspec.emit.manual.ops import example
from netspec.evaluation.load import load_checkpoint
from netspec.evaluation.metrics import log_probabilities
from netspec.ops import OPS
from netspec.training.loss import nothing_learned_warning


def check(body: str, image: str = "3x32x32") -> Report:
    return check_source(Source("x.net", f"network Net\ninput x: {image}\n{body}\n"), Path())


def first(report: Report) -> tuple[str, str]:
    diagnostic = report.diagnostics[0]
    return f"{diagnostic.code}: {diagnostic.message}", diagnostic.help or ""


# PyTorch's argument order: the statement, the message, and the help.
POSITIONS = [
    ("conv(3, 64, 7, 2, 3)", "`conv` takes only channels and kernel by position", "leave out the 3"),
    ("batchnorm(3)", "`batchnorm` takes no arguments by position", "leave out the 3"),
    ("layernorm(768)", "`layernorm` takes no arguments by position", "`layernorm(eps=...)`"),
    ("groupnorm(3, 3)", "`groupnorm` takes only groups by position", "leave out the 3"),
    ("flatten; linear(3072, 10)", "`linear` takes only features by position", "leave out the 3072"),
    ("tokens; attention(3, 12)", "`attention` takes only heads by position", "leave out the 3"),
    ("maxpool(3, 2)", "`maxpool` takes only kernel by position", "`maxpool(3, stride=2)`"),
    ("prelu(3)", "`prelu` takes no arguments by position", "leave out the 3"),
]


@pytest.mark.parametrize(("body", "message", "help"), POSITIONS)
def test_the_argument_order_of_pytorch_is_refused(body, message, help):
    found, way_out = first(check(body))
    assert found == f"too-many-arguments: {message}"
    assert help in way_out


@pytest.mark.parametrize("body", ["batchnorm(eps=64)", "layernorm(eps=768)", "groupnorm(3, eps=2)"])
def test_eps_is_small(body):
    assert "must be at most 1" in first(check(body))[0]


@pytest.mark.parametrize("keyword", sorted(OPS))
def test_a_wrong_claim_on_any_op_is_one_fault(keyword):
    text = example(OPS[keyword])
    claims = list(re.finditer(r"-> *[\dx]+", text))
    assert claims
    last = claims[-1]
    for claim in ("-> 3x15x16", "-> 7", "-> 5x9", "-> ?x15x?"):
        wrong = f"network Example\n{text[: last.start()]}{claim}{text[last.end() :]}"
        report = check_source(Source("example.net", wrong), {})
        codes = [d.code for d in report.diagnostics if d.severity == "error"]
        assert codes in ([], ["shape-mismatch"])


# A claim, and what the help says: `None` where no single argument would be right.
CLAIMS = [
    ("8x12x12", "deconv(4, 3, stride=2, padding=1) -> 4x24x24", "deconv with output_padding=1 gives 4x24x24"),
    ("128x12x12", "deconv(64, 2) -> 64x24x24", "deconv with stride=2 gives 64x24x24"),
    ("32x44x44", "conv(32, 3, stride=2, padding=1) -> 32x23x23", None),
    ("8x15x15", "maxpool(3, stride=2) -> 8x15x15", None),
    ("8x15x15", "maxpool(2) -> 8x8x8", "maxpool with ceil=true gives 8x8x8"),
    ("8x15x15", "lrn(size=3, within=true) -> 3x15x15", None),
]  # fmt: skip


@pytest.mark.parametrize(("image", "body", "help"), CLAIMS)
def test_corrections_of_a_wrong_claim(image, body, help):
    (diagnostic,) = check(body, image).diagnostics
    assert diagnostic.code == "shape-mismatch"
    assert diagnostic.help == help


UNKNOWN = {
    "swish": "did you mean `silu`?",
    "Conv2d(8, 3)": "did you mean `conv`?",
    "max_pool_2d(2)": "did you mean `maxpool`?",
    "fully_connected(10)": "did you mean `linear`?",
    "bn": "did you mean `batchnorm`?",
    "depthwise(3)": "a depthwise convolution is `conv(3, 3, padding=1, groups=3)`",
    "global_avgpool": "global average pooling is `adaptive_avgpool(1)`, followed by `flatten`",
    "transpose": "`permute([1, 0])` reorders the axes",
    "rnn(64)": "the recurrent layers are `lstm(64)` and `gru(64)`",
    "reluu": "did you mean `relu`",
}


@pytest.mark.parametrize("body", UNKNOWN)
def test_names_of_other_frameworks(body):
    found, help = first(check(body))
    assert found.startswith("unknown-op")
    assert help.startswith(UNKNOWN[body])


@pytest.mark.parametrize("name", [*SYNONYMS, *ADVICE])
def test_suggested_layer_types_exist(name):
    assert name not in OPS
    assert name == plain_name(name)
    arguments = {field for op in OPS.values() for field in op.model_fields}
    assert SYNONYMS.get(name, "conv") in OPS.keys() | arguments
    for call in re.findall(r"`(\w+)[(`]", ADVICE.get(name, "")):
        assert call in OPS.keys() | {"block"}


# Joins of named layers: the body, and the text at the caret.
JOINS = [
    ("a: conv(8, 3)\nb: conv(8, 3, padding=1) <- x\nconcat(a, b)", "a gives 8x30x30, b gives 8x32x32"),
    ("a: conv(8, 1)\nb: maxpool(2)\nadd(a, b)", "a gives 8x32x32, b gives 8x16x16"),
    ("a: { conv(8, 3); relu }\nb: conv(8, 5) <- x\nmul(a, b)", "a gives 8x30x30, b gives 8x28x28"),
    ("g: { a: conv(8, 3)\nb: maxpool(2)\nadd(a, b) }", "a gives 8x30x30, b gives 8x15x15"),
]


@pytest.mark.parametrize(("body", "text"), JOINS)
def test_a_join_states_its_operands(body, text):
    (diagnostic,) = check(body).diagnostics
    assert diagnostic.code == "branches-disagree"
    assert diagnostic.text == text
    assert len(set(diagnostic.labels)) == len(diagnostic.labels)


TRAIN = "train { epochs: 1 }"
SCORES = {
    "softmax": "this loss applies softmax itself",
    "log_softmax": "this loss applies log_softmax itself",
    "sigmoid": "limited to [0, 1]",
    "relu": "cannot be negative",
    "relu; dropout": "cannot be negative",
}


@pytest.mark.parametrize("last", SCORES)
def test_scores_that_do_not_suit_the_loss(last):
    report = check(f"flatten; linear(10); {last}\n{TRAIN}")
    (warning,) = report.diagnostics
    assert (warning.code, warning.severity) == ("unfit-scores", "warning")
    assert SCORES[last] in warning.message


@pytest.mark.parametrize(
    "body",
    [f"flatten; linear(10)\n{TRAIN}", "flatten; linear(10); softmax", f"relu; flatten; linear(10)\n{TRAIN}"],
)
def test_scores_that_suit_it(body):
    assert not check(body).diagnostics


@pytest.mark.parametrize(
    ("image", "meant"), [("224x224x3", "3x224x224"), ("28x28x1", "1x28x28"), ("480x640x3", "3x480x640")]
)
def test_images_with_the_channels_last(image, meant):
    (warning,) = check("relu", image).diagnostics
    assert (warning.code, warning.severity) == ("channels-last", "warning")
    assert f"you probably mean {meant}" in (warning.help or "")


@pytest.mark.parametrize("image", ["3x224x224", "512x1x1", "256x8x3", "64x7x1"])
def test_images_with_the_channels_first(image):
    assert not check("relu", image).diagnostics


def test_a_grey_image_has_one_channel():
    assert first(check("conv(8, 3)", "28x28"))[1] == "a grey image of this size is written 1x28x28"


BATCH_NORM = (
    "network Net\ninput x: 1x8x8\nconv(4, 3); adaptive_avgpool(1); norm: batchnorm; flatten; linear(10)\n"
)


@pytest.mark.parametrize("entries", ["batch: 1", "batch: 2; accumulate: 2", "batch: 10; accumulate: 4"])
def test_a_batch_norm_over_one_value_is_refused(entries, tmp_path):
    text = BATCH_NORM + f"train {{ epochs: 1; {entries} }}\n"
    with pytest.raises(
        netspec.TrainError, match=r"the batch norm norm would get a single value .*`train\.batch`"
    ):
        netspec.train(text, data="digits", out=tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()


def test_a_batch_norm_over_a_map_trains_with_batches_of_one(tmp_path):
    text = BATCH_NORM.replace("adaptive_avgpool(1); ", "") + "train { epochs: 1; batch: 1 }\n"
    netspec.train(text, data="digits", out=tmp_path / "run", device="cpu")


@pytest.mark.parametrize("warned", [True, False])
def test_a_run_that_learns_nothing_says_so(warned, tmp_path, caplog):
    text = "network Net\ninput x: 1x8x8\nflatten; linear(8, bias_init=zeros); relu; linear(10)\n"
    text = text.replace("bias_init", "init=zeros, bias_init") if warned else text
    netspec.train(text, data="digits", epochs=2, out=tmp_path / "run", device="cpu")
    assert ("the network learned nothing" in caplog.text) is warned


@pytest.mark.parametrize(
    ("loss", "accuracy", "warned"),
    [
        (2.29, 0.10, True),
        (2.434, 0.048, True),  # worse than guessing, as the random weights of the start are
        (9.0, 0.10, True),
        (2.0, 0.10, False),  # the training images are memorized: that is learning
        (2.434, 0.30, False),
        (100.0, 0.10, False),  # diverged, which has a warning of its own
    ],
)
def test_nothing_is_learned_unless_guessing_is_beaten(loss, accuracy, warned):
    assert (nothing_learned_warning(loss, accuracy, 10) is not None) is warned


def test_predictions_do_not_apply_a_second_softmax(tmp_path):

    text = "network Net\ninput x: 1x8x8\nflatten; linear(10); softmax\n"
    run = netspec.train(text, data="digits", epochs=1, out=tmp_path / "run", device="cpu")
    model = load_checkpoint(run.folder)
    images = torch.randn(4, 1, 8, 8)
    with torch.no_grad():
        assert torch.allclose(log_probabilities(model.classify, images).exp(), model.module(images))


# Slips of newcomers, and the way out that the help names.
SLIPS = [
    ("depthwise(3)", "unknown-op", "`conv(3, 3, padding=1, groups=3)`"),
    ("conv(8, 3); g: { instancenorm }", "unknown-op", "`groupnorm(8)`"),
    ("conv(12, 1)\nseparable_conv(8)", "unknown-op", "`conv(12, 3, padding=1, groups=12)` and then"),
    ("linear(10)", "unflattened-image", "for each pixel, use `conv(10, 1)`"),
    ("conv(8, 3, padding=valid)", "wrong-type", ""),
    ("adaptive_avgpool(7, 5)", "too-many-arguments", "as in `adaptive_avgpool(7x5)`"),
    ("maxpool(3, 2, 1)", "too-many-arguments", "`maxpool(3, stride=2, padding=1)`"),
    ("avgpool(2, 2)", "too-many-arguments", "`avgpool(2, stride=2)`"),
    ("conv(8, 3) relu", "syntax", "use `;` to separate two statements on one line"),
    ("{ relu } flatten", "syntax", "use `;` to separate two statements on one line"),
    ("dropout(50)", "argument-range", "50 % is 0.5"),
    ("stochastic_depth(20)", "argument-range", "20 % is 0.2"),
    ("conv3d(8, 3)", "unknown-op", "did you mean `conv`?"),
    ("BatchNorm3d", "unknown-op", "did you mean `batchnorm`?"),
    ("bilinear", "unknown-op", "`upsample(2, mode=bilinear)`"),
    ("split(2)", "unknown-op", "`slice(0, 32)`"),
    ("unsqueeze(0)", "unknown-op", "`reshape(1x64)`"),
    ("skip", "unknown-op", "`add { identity;"),
]


@pytest.mark.parametrize(("body", "code", "help"), SLIPS, ids=[body for body, _, _ in SLIPS])
def test_slips_of_newcomers(body, code, help):
    found, way_out = first(check(body))
    assert found.startswith(f"{code}: ")
    assert help in way_out


PASTED = [
    ("nn.ReLU()", "`relu`"),
    ("x = F.relu(x)", "`relu`"),
    ("self.conv = nn.Conv2d(3, 8, 3)\nx = self.conv(x)\nreturn x", "`conv(8, 3)`"),
    ("x = torch.flatten(x, 1)", "`flatten`"),
    (
        "import torch.nn as nn\nclass Net(nn.Module):\n    def forward(self, x):",
        "a spec lists layers one after another",
    ),
    ("self.fc = something(3)", "a spec lists layers one after another"),
]


@pytest.mark.parametrize(("body", "help"), PASTED, ids=[body for body, _ in PASTED])
def test_pasted_python_is_one_fault(body, help):
    faults = [d for d in check(body).diagnostics if d.severity == "error"]
    assert [d.message for d in faults] == ["this is Python, not a spec"]
    assert help in str(faults[0].help)


@pytest.mark.parametrize("body", ["s = conv.channels", "self_conv: relu", "x1 = 3; linear_2: relu"])
def test_specs_are_not_taken_for_python(body):
    assert "Python" not in "".join(d.message for d in check(body).diagnostics)


MESSAGES = [
    ("assert {}", "expected a string in quotes, found the end of the file"),
    ('"}": relu', '"}" cannot be a label'),
    ("a = min()", "`min` needs at least one value"),
    ("a = max([], 3)", "`max` is not defined for a list and a whole number"),
    ("a = {}[{}]", "the table has no key {}: it is empty"),
    ("a = range(1, 5, 0)", "the step of `range` must not be 0"),
    ("a = [1][{}]", "the index of an item must be a whole number, not a table"),
    ("upsample(10**9)", "the output of `upsample` would have 3.1e+21 elements, more than a tensor can have"),
    ("conv(10**18, 3)", "the output of `conv` would have 9.0e+20 elements, more than a tensor can have"),
    ("g: { relu <- g }", "`g` contains this line, so its output is not known yet"),
]


@pytest.mark.parametrize(("body", "message"), MESSAGES, ids=[body for body, _ in MESSAGES])
def test_messages_say_what_is_wrong(body, message):
    assert message in [d.message for d in check(body).diagnostics if d.severity == "error"]


@pytest.mark.parametrize("shape", ["32x32x1", "224x224x3", "300x400x4"])
def test_channels_last_inputs_are_named_even_if_the_network_fails(shape):
    report = check("conv(8, 5)", shape)
    assert "channels-last" in [d.code for d in report.diagnostics]
    assert not any("works" in str(d.help) for d in report.diagnostics)


HELD = [
    ("adaptive_avgpool(1) -> 3x2x2", "is 3x1x1, but 3x2x2 is claimed"),
    ("adaptive_avgpool(2); flatten; linear(10) -> 11", "is 10, but 11 is claimed"),
    ("conv(8, 3, padding=1) -> 9x32x32", "is 8x64x64, but 9x?x? is claimed"),
]


@pytest.mark.parametrize(("body", "words"), HELD)
def test_claims_that_hold_for_any_input_are_compared(body, words):
    report = netspec.check(f"network N\ninput x: 3x32x32\n{body}\n", input=(3, 64, 64))
    assert any(words in d.message for d in report.diagnostics)


def test_claims_that_depend_on_the_input_are_not_compared():
    body = "conv(8, 3) -> 8x30x30; flatten -> 7200"
    assert netspec.check(f"network N\ninput x: 3x32x32\n{body}\n", input=(3, 64, 64)).ok


# A refuted claim, and the later statements that do not become faults because of it.
REFUTED = [
    "conv(8, 3) -> 7; conv(8, 3)",
    "conv(8, 3) -> 8x32x32; maxpool(2) -> 8x16x16; flatten -> 2048",
    "conv(8, 3) -> 8x32x32; maxpool(2) -> 8x15x15; flatten -> 1800",
    "a: conv(8, 3) -> 8x32x32; b: conv(8, 3, padding=1) <- x; add(a, b)",
    "flatten -> 3000; linear(10) -> 10",
    "relu -> 3x0x3; conv(8, 3)",
]


@pytest.mark.parametrize("body", REFUTED)
def test_a_refuted_claim_is_one_fault(body):
    faults = [d for d in check(body).diagnostics if d.severity == "error"]
    assert [d.code for d in faults] == ["shape-mismatch"]
    assert "claimed" in faults[0].message


def test_a_later_fault_is_told_by_the_computed_shape():
    faults = [d.message for d in check("conv(8, 3) -> 8x32x32; maxpool(2) -> 8x9x9").diagnostics]
    assert faults[1] == "the output of maxpool is 8x15x15, but 8x9x9 is claimed"


# A wrong `input` statement, and the statement that the help gives.
INPUTS = [
    ("input 3x32x32", "input image: 3x32x32"),
    ("input(3, 32, 32)", "input image: 3x32x32"),
    ("input: 3x32x32", "input image: 3x32x32"),
    ("input = 3x32x32", "input image: 3x32x32"),
    ("input photo 3x32x32", "input photo: 3x32x32"),
    ("input photo = (1, 3, 32, 32)", "input photo: 3x32x32"),
    ("input x: 784, 1", "input x: 784x1"),
    ('input x: "digits"', "input x: 3x224x224"),
    ("Input(shape=(3,32,32))", "input image: 3x32x32"),
]


@pytest.mark.parametrize(("line", "correct"), INPUTS)
def test_wrong_input_statements_are_corrected(line, correct):
    report = check_source(Source("x.net", f"network Net\n{line}\nflatten\n"), Path())
    assert f"write `{correct}`" in (report.diagnostics[0].help or "")
    assert check_source(Source("x.net", f"network Net\n{correct}\nflatten\n"), Path()).net


@pytest.mark.parametrize("line", ["nn.ReLU", "y = nn.ReLU", "y = nn.ReLU()", "relu = F.relu"])
def test_pytorch_names_without_a_call_are_recognized(line):
    assert "a spec writes `relu`" in first(check(line))[1]


def test_strings_in_single_quotes_are_corrected():
    assert first(check("upsample(2, mode='bilinear')"))[1] == "strings must be in double quotes"
