"""Untrusted specs: their text never becomes code or control sequences of a terminal."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import torch
from accepted import accepted
from click.testing import CliRunner

from netspec import Network, check
from netspec.checker import Report, check_source
from netspec.cli import main
from netspec.diagnostics import Source, SpecError


def check_text(text: str, **arguments: object) -> Report:
    return check_source(Source("test.net", text), Path(), arguments)


# Names never become code

KINDS = """Module Import ImportFrom alias ClassDef FunctionDef arguments arg Expr Constant Assign Attribute
Name Call keyword Return Tuple List BinOp Add Mult FloorDiv UnaryOp USub Load Store Del Delete If IfExp For
Compare IsNot Subscript Dict""".split()  # noqa: SIM905
KNOWN = {"nn", "torch", "OrderedDict", "self", "super", "isinstance", "getattr", "setattr"}
HOSTILE = [
    '"""', "'''", "\\", '\\"""', "\\'", "a\nimport os\n", "\\n", "'); import os; ('", "__class__",
    "__init__", "self", "import os", "os.system('id')", "{0}", "{self}", "%s", "$(id)", "`id`", "<script>",
    "\\N{BULLET}", "\x1b[2J", "a\x00b", "\u202eevil", "\uff53elf", "\uff49mport", "\ufb01", "a\u200bb",
    "a\u0301", "x = 1", "x; y", "x, y", "lambda: 0", "#", "x#y", "()", "[]", "{}", "..", ".", "a.b", "-",
    "--", "+", " ", "  x", "/", ":", "::", "a" * 101, "a" * 100, "0x10", "1e5", "None", "True", "nn.Module",
    "torch", "class", "global", "async", "__", "_", "_x", "x__y", "print(1)", "\udc80", "\u0661", "\xb2",
    "a.__class__", "a.0'); x(", "0.0", "a.b.c.d.e.f.g",
]  # fmt: skip
SPOTS = {
    "label": '"{text}": relu',
    "group": '"{text}": {{ conv(3, 1); "{text}": relu }}',
    "reference": '"{text}": conv(3, 1)\na: relu\nadd("{text}", a)\noutput "{text}"',
    "buffer": 'add {{ identity; "{text}": buffer(3x1x1) }}',
    "param": 'g: {{ mul {{ identity; "{text}": param(3x1x1) }} }}',
    "computed": '"{{s}}": conv(3, 1)\na{{s}}: relu',
    "joined": 't = s + "{text}"\n"x{{t}}": {{ relu }}',
    "citation": "relu",
    "argument": "block B(word, other = s) {{ conv(3, 1) }}\nB(s); B(word=[s, {{s: s}}]); x = B",
    "word": "conv(3, 1, init={text})",
    "mode": 'upsample(2, mode="{text}")',
    "mode_word": "upsample(2, mode={text})",
    "equation": 'einsum(image, image, equation="{text}")',
    "nonlinearity": 'conv(3, 1, init=kaiming_normal(nonlinearity="{text}"))',
    "input": "relu <- image\n{text}: relu",
    "block": "block {text} {{ relu }}\n{text}",
    "parameter": "block B({text} = 3) {{ conv({text}, 1) }}\nB; B({text}=4)",
    "recipe": 'relu\ntrain {{ data: "{text}"; optimizer: {text} }}',
}


@pytest.mark.parametrize("spot", SPOTS)
@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_text_from_a_spec_never_becomes_code(text, spot):
    citation = text if spot == "citation" else "a paper"
    head = f'network Net(s = "x") "{citation}"\ninput image: 3x8x8\n_ = s\n'
    report = check_text(head + SPOTS[spot].format(text=text) + "\n", s=text)
    if not report.net:
        assert any(d.severity == "error" for d in report.diagnostics)
        return
    audit(Network(report.net).source())
    assert "\n" not in Network(report.net).dot().partition("{")[0]


def audit(text: str) -> None:
    """Refuse Python of any kind that a network has no use for."""
    assert all(c == "\n" or c.isprintable() for c in text)
    tree = ast.parse(text)
    classes = {n.name for n in tree.body if isinstance(n, ast.ClassDef)}
    assert {type(n).__name__ for n in ast.walk(tree)} <= set(KINDS)
    for function in (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)):
        assert function.name in ("__init__", "forward")
        parts = list(ast.walk(function))
        local = {a.arg for a in function.args.args}
        local |= {n.id for n in parts if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        for node in parts:
            if isinstance(node, ast.Name):
                assert node.id in KNOWN | classes | local
                assert not node.id.startswith("__") or node.id == "__"
            if isinstance(node, ast.Attribute):
                assert node.attr == "__init__" or not node.attr.startswith("_")
            if isinstance(node, ast.Call):
                root = re.match(r"\w+", ast.unparse(node.func))
                assert root
                assert root[0] in KNOWN | classes


BLOCKS = "Forward Train Apply Half Float Type Parameters Children _modules _x __init__ __class__ __x Self"


@pytest.mark.parametrize("name", BLOCKS.split())
def test_a_block_cannot_replace_an_attribute_of_its_module(name):
    """A call without a label is named after its block, and that name must be as harmless as a label's."""
    text = f"network Net\ninput x: 3x8x8\nblock {name} {{ conv(3, 1) }}\n{name}\n{name}\na: {name}\nrelu\n"
    report = check_text(text)
    if report.net:
        x = torch.rand(1, 3, 8, 8)
        module = Network(report.net).module()
        weights = [module.get_submodule(n.name) for n in report.net.layers if n.op.keyword == "conv"]
        assert torch.equal(module(x), torch.relu(weights[2](weights[1](weights[0](x)))))
    else:
        assert {d.code for d in report.diagnostics} == {"bad-label"}


CITATIONS = ["\\", "a \\", "\\\\", "'''", "x\\", "He said 'no'", "100 % {sure}", "é ü 漢"]


@pytest.mark.parametrize("text", CITATIONS)
def test_the_citation_stays_inside_the_docstring(text):
    source = Network(check_text(f'network Net "{text}"\ninput x: 3x8x8\nrelu\n').require()).source()
    assert text in (ast.get_docstring(ast.parse(source).body[-1]) or "")


@pytest.mark.parametrize(
    "value", ['"""\nimport os\n"""', "\\", object(), b"\x00", float("nan"), "\ud800", [1, {}]]
)
def test_arguments_stay_inside_the_docstring(value):
    report = check_text("network Net(a = 1)\ninput x: 3x8x8\nconv(3, 1)\n_ = a\n", a=value)
    if report.net:
        audit(Network(report.net).source())


# Files and terminals

CONTROL = "\x1b[31m\x07\x9b2J\u202e"
SHOWN = [
    "network Net\ninput x: 3x8x8\nconv(  # {}\n",
    "network Net\ninput x: 3x8x8\nrelv  # {}\n",
    'network Net\ninput x: 3x8x8\n"{}": relu\n',
    'network Net "{}"\ninput x: 3x8x8\nconv(3, 1) -> 1x1x1\n',
    'network Net "{}"\ninput x: 3x8x8\nconv(3, 1)\n',
    'network Net(a = "{}")\ninput x: 3x8x8\nconv(3, 1)\n_ = a\n',
    'network Net\ninput x: 3x8x8\na = "{}"\nx{{a}}: relu\n',
    'network Net\ninput x: 3x8x8\nblock B(a) {{ relu }}\nB("{}")\n',
    'network Net\ninput x: 3x8x8\nuse "{}"\nrelu\n',
    'network Net\ninput x: 3x8x8\nx = {{1: 2}}["{}"]\nrelu\n',
    "network Net\ninput x: 3x8x8\n{} relu\n",
    'network Net\ninput x: 3x8x8\nrelu\ntrain {{ data: "{}" }}\n',
]
COMMANDS = ["check", "fmt --check", "export", "draw -o net.dot"]
COMMANDS += [f"check --format {form} --explain" for form in ("table", "json", "sarif", "csv", "markdown")]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("text", SHOWN)
def test_control_characters_do_not_reach_the_terminal(tmp_path, monkeypatch, command, text):
    monkeypatch.chdir(tmp_path)
    Path("test.net").write_text(text.format(CONTROL), "utf-8")
    run = CliRunner().invoke(main, [*command.split(), "test.net"])
    assert run.exception is None or isinstance(run.exception, SystemExit)
    assert all(c in "\n\t" or c.isprintable() for c in run.output)


PATHS = ["/dev/zero", "/dev/null", "/", "", "a" * 5000, "a\0b", "loop.net", "dangling.net", "~", "-", "*.net"]


@pytest.mark.parametrize("path", PATHS, ids=lambda p: ascii(p[:20]))
def test_files_that_are_not_specs_are_rejected(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    Path("loop.net").symlink_to("loop.net")
    Path("dangling.net").symlink_to("nowhere.net")
    with pytest.raises(SpecError):
        check(path)


def test_formatting_a_link_rewrites_its_target(tmp_path):
    (tmp_path / "real.net").write_text("network Net\ninput x: 3x8x8\nconv( 3,1 )\n")
    (tmp_path / "link.net").symlink_to("real.net")
    assert accepted(check(tmp_path / "link.net"))
    assert CliRunner().invoke(main, ["fmt", str(tmp_path / "link.net")]).exit_code == 0
    assert (tmp_path / "link.net").is_symlink()
    assert "conv(3, 1)" in (tmp_path / "real.net").read_text()
