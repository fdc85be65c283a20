"""The formatter preserves meaning and comments, and leaves formatted text unchanged."""

from __future__ import annotations

import pytest
from click.testing import CliRunner
from places import HERE

from netspec.cli import main
from netspec.diagnostics import Source, SpecError
from netspec.language.formatter import format_source
from netspec.language.parser import parse

SPECS = HERE.parent / "specs"
SPEC_FILES = sorted([*SPECS.rglob("*.net"), *(HERE / "cases" / "ok").glob("*.net")])


def formatted(text: str) -> str:
    return format_source(Source("test.net", text))


def tree(text: str):
    made, faults = parse(Source("test.net", text))
    assert not faults
    return made


@pytest.mark.parametrize("path", SPEC_FILES, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_formatting_preserves_every_spec(path):
    text = path.read_text("utf-8")
    once = formatted(text)
    assert tree(once) == tree(text)
    assert formatted(once) == once
    assert comments(once) == comments(text)


@pytest.mark.parametrize("path", sorted(SPECS.rglob("*.net")), ids=lambda p: p.stem)
def test_builtin_specs_are_formatted(path):
    assert formatted(path.read_text("utf-8")) == path.read_text("utf-8")


def comments(text: str) -> list[str]:
    return [c.rstrip() for _, c in tree(text).comments]


PATTERNS = [(1, 1, 0), (1, 0, 0), (0, 1, 0), (0, 3, 0), (0, 3, 1), (0, 3, 2), (3, 0, 1), (2, 3, 1)]
"""Comments on every so many lines: on lines of their own, at the ends of lines, and where they begin."""


@pytest.mark.parametrize(("own", "end", "first"), PATTERNS)
@pytest.mark.parametrize("path", SPEC_FILES, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_comments_are_kept_wherever_they_are(path, own, end, first):
    text = ""
    for k, line in enumerate(path.read_text("utf-8").splitlines(), first):
        text += f"# own {k}\n" if own and k % own == 0 else ""
        text += line.partition("#")[0].rstrip() + (f"  # end {k}\n" if end and k % end == 0 else "\n")
    once = formatted(text)
    assert tree(once) == tree(text)
    assert sorted(comments(once)) == sorted(comments(text))
    assert formatted(once) == once


# What each line becomes; the second text is None where nothing changes.

LINES = [
    ("a:conv( 3,1 )", "a: conv(3, 1)"),
    ("conv(3,kernel = 1x7 , padding=0x3)", "conv(3, kernel=1x7, padding=0x3)"),
    ("conv()", "conv"),
    ("a: relu<-b,c", "a: relu <- b, c"),
    ("a: relu -> 3x?x{ n+1 } <- in", "a: relu <- in -> 3x?x{n + 1}"),
    ("relu ->?", "relu -> ?"),
    ("relu;tanh ;relu", "relu; tanh; relu"),
    ("relu;", "relu"),
    ('"a-b": relu <- "c-d"."e"', '"a-b": relu <- "c-d".e'),
    ('"plain": relu', "plain: relu"),
    ('"3": relu', "3: relu"),
    ("a{ i+1 }b: relu", "a{i + 1}b: relu"),
    ('"a{ i }-{j}": relu', '"a{i}-{j}": relu'),
    ("x=(1+2)*3", "x = (1 + 2) * 3"),
    ("x=((1+2))", "x = 1 + 2"),
    ("x=1-(2-3)", "x = 1 - (2 - 3)"),
    ("x=(1-2)-3", "x = 1 - 2 - 3"),
    ("x=(2**3)**4", "x = (2 ** 3) ** 4"),
    ("x=2**(3**4)", "x = 2 ** 3 ** 4"),
    ("x=(-2)**2", "x = (-2) ** 2"),
    ("x=-(2**2)", "x = -2 ** 2"),
    ("x=2**-1", "x = 2 ** -1"),
    ("x=not(a and b)", "x = not (a and b)"),
    ("x=(not a) and b", "x = not a and b"),
    ("x=not(1==2)", "x = not 1 == 2"),
    ("x=(not 1)==2", "x = (not 1) == 2"),
    ("x=(1<2)<3", "x = (1 < 2) < 3"),
    ("x=1<2<3", "x = 1 < 2 < 3"),
    ("x=(1 if a else 2) if b else 3", "x = (1 if a else 2) if b else 3"),
    ("x=1 if a else(2 if b else 3)", "x = 1 if a else 2 if b else 3"),
    ("x=1 if(2 if a else 3)else 4", "x = 1 if (2 if a else 3) else 4"),
    ("x=[1 if a else 2,]", "x = [1 if a else 2]"),
    ("x=(a or b)and c", "x = (a or b) and c"),
    ("x=a or(b and c)", "x = a or b and c"),
    ("x=(a+b)[0]", "x = (a + b)[0]"),
    ("x=(-a)[0]", "x = (-a)[0]"),
    ("x={ 1:2 ,3:[ ] }[1]", "x = {1: 2, 3: []}[1]"),
    ("x=- -1", "x = --1"),
    ("x=f( 1,a = 2 )", "x = f(1, a=2)"),
    ("x=1 not   in[1]", "x = 1 not in [1]"),
    ("x=1_000+1e-3+2.50M", "x = 1_000 + 1e-3 + 2.50M"),
    ("x=in.channels+a.b.height+a.0.width", "x = in.channels + a.b.height + a.0.width"),
    ("expect params=1M,macs = 2", "expect params = 1M, macs = 2"),
    ("output a.b when training( weight = 0.3 )", "output a.b when training (weight=0.3)"),
    ("output a   when training", "output a when training"),
    ("input x :3x{n}x4", "input x: 3x{n}x4"),
    ('use   "a.net"', 'use "a.net"'),
    ("default conv( bias=false,)", "default conv(bias=false)"),
    ("repeat n-1{relu}", "repeat n - 1 { relu }"),
    ("for i,n in enumerate( x ){relu}", "for i, n in enumerate(x) { relu }"),
    ("if a{relu}else{tanh}", "if a { relu } else { tanh }"),
    ("if a{relu}else if b{tanh}else{identity}", "if a { relu } else if b { tanh } else { identity }"),
    ("block B{relu}", "block B { relu }"),
    ("block B(a,b=1){relu}", "block B(a, b = 1) { relu }"),
    ("{relu;tanh}", "{ relu; tanh }"),
    ("a:{}", "a: { }"),
    ("add{identity;{relu}}", "add { identity; { relu } }"),
    ("a: concat {relu;tanh}<-b ->3x?", "a: concat { relu; tanh } <- b -> 3x?"),
    ("network N( a = 1 ,b )", "network N(a = 1, b)"),
    ('network N   "A \\ b"', 'network N "A \\ b"'),
    ("train{}", "train {\n}"),
    ("train{batch:1;epochs:2}", "train {\n  batch: 1\n  epochs: 2\n}"),
]


@pytest.mark.parametrize(("text", "expected"), LINES)
def test_each_form(text, expected):
    assert formatted(text + "\n") == expected + "\n"
    assert tree(expected) == tree(text)
    assert formatted(expected) == expected + "\n"


# Layouts with comments, each formatted already: formatting changes nothing.

STABLE = [
    'a: { "block": relu; "in": tanh }\ngelu <- a."block"\nrelu <- a."in"\n',
    "x = [1, 2, 3][1:] + [1][:2] + [2][:]\n",
    "# first\n\n# second\nnetwork N\n",
    "relu  # end\n",
    "relu; tanh  # end\n",
    "relu\n# last",
    "relu\n\n# last\n",
    "\n\n\nrelu\n\n\n\ntanh\n\n\n",
    "a: {\n  # inside\n  relu\n}\n",
    "a: {  # after the brace\n  relu\n}\n",
    "a: {\n  relu\n  # before the brace\n}\n",
    "a: {\n  relu\n}  # after\n",
    "a: {\n  relu\n}  # after\ntanh\n",
    "a: {\n  # alone\n}\n",
    "a: { }  # empty\n",
    "a: {\n\n  relu\n\n  tanh\n\n}\n",
    "add {\n  identity  # one\n  {\n    relu  # two\n    tanh\n  }  # three\n  # four\n}  # five\n# six\n",
    "if a {\n  relu  # yes\n} else {\n  tanh  # no\n}  # end\n",
    "if a {\n  relu\n  # before else\n} else {\n  # after else\n  tanh\n}\n",
    "if a {  # why\n  relu\n} else {  # why not\n  tanh\n}\n",
    "if a {\n  relu\n} else if b {  # or\n  tanh\n  # c\n} else {\n  # d\n  identity\n}\n",
    "if a { relu } else { tanh }  # one line\n",
    "block B(a) {  # what\n  relu\n\n  # why\n}\n",
    "for i in x {\n  # c\n  relu  # d\n}  # e\n",
    "train {\n  # own\n  batch: 1  # end\n\n  # before\n  epochs: 2\n  # last\n}  # after\n",
    "train {  # opening\n  batch: 1\n}\n",
    "train { batch: 1 }  # short\n",
    "x = [  # numbers\n  1,  # one\n  2,\n  # three\n]\n",
    "x = [\n  1,\n  # two\n  2,\n]\ny = 1  # after\n",
    "a: conv(3,  # channels\n  1)  # kernel\nrelu\n",
    "x = {\n  1: [1, 2],  # one\n  2: [3, 4],  # two\n}[n]\n",
    "a: {\n  x = [1, 2]  # } not the end {\n  relu\n}\n",
    'a: relu  # "quoted } text\nb: { tanh }  # }\n',
    '"a # b": relu  # c\n',
    'network N "a # } b"  # c\n',
    "a: { relu }  # }\n# }\nb: {\n  tanh\n  # }\n}\n",
    "for i in {1: [2]}[1] {\n  relu\n  # c\n}\n",
    "a: {\n  x{1}: relu\n  # c\n}\n",
    "#\n#a\n#  b\nrelu\n",
    "# é ü 漢字 🙂\nrelu  # 漢字\n",
]


@pytest.mark.parametrize("text", STABLE)
def test_comments_stay(text):
    once = formatted(text)
    assert tree(once) == tree(text)
    assert sorted(comments(once)) == sorted(comments(text))
    assert formatted(once) == once


ORDERED = [t for t in STABLE if "x = [" not in t and "conv(3," not in t and "x = {" not in t]


@pytest.mark.parametrize("text", ORDERED)
def test_comments_keep_their_place(text):
    """Every comment still follows the same words, those of the statements alone being counted."""
    assert places(formatted(text)) == places(text)


def places(text: str) -> list[tuple[str, str]]:
    """Each comment, and all letters and digits before it that stand in no comment."""
    found, before, start = [], "", 0
    for at, comment in tree(text).comments:
        before += text[start:at]
        found.append(("".join(c for c in before if c.isalnum() or c in "{}"), comment.rstrip()))
        start = at + len(comment)
    return found


LONG = [
    "x = [" + ", ".join(str(i) for i in range(80)) + "]",
    "x = {" + ", ".join(f"{i}: [{i}, {i}]" for i in range(30)) + "}[n]",
    "a: conv(" + " + ".join(["channels"] * 20) + ", kernel=3, padding=1) -> 3x3x3",
    "a: { " + "; ".join(["conv(64, kernel=3, padding=1)"] * 6) + " } -> 64x3x3",
    "; ".join(["conv(64, kernel=3, padding=1)"] * 6),
    "if a { " + "; ".join(["relu"] * 40) + " } else if b { " + "; ".join(["tanh"] * 40) + " }",
    "block Block(" + ", ".join(f"parameter_{i} = {i}" for i in range(20)) + ") { relu }",
    "expect " + ", ".join(f"count_{i} = {i}M" for i in range(20)),
    "add { " + "{ relu }; " * 30 + "identity }  # comment",
    "# " + "long comment " * 30,
]


@pytest.mark.parametrize("text", LONG)
def test_long_lines(text):
    once = formatted(text)
    assert tree(once) == tree(text)
    assert formatted(once) == once
    assert comments(once) == comments(text)


def test_line_ends_of_windows_become_plain():
    assert formatted("# c\r\na: {\r\n  relu  # d\r\n}\r\n") == "# c\na: {\n  relu  # d\n}\n"


def test_claims_and_comments_are_lined_up():
    text = "conv(64, 3) -> 64x8x8  # one\nrelu -> 64x8x8\nflatten -> ?  # three\n"
    lines = formatted(text).splitlines()
    assert {line.index("->") for line in lines} == {12}
    assert {line.index("#") for line in lines if "#" in line} == {lines[0].index("#")}


# The command

UGLY, FINE, FAULTY = "network N\nrelu<-a\n", "network N\nrelu <- a\n", "network N\nrelu <-\n"
RUNS = [
    (["fmt"], UGLY, 0, FINE),
    (["fmt"], FINE, 0, FINE),
    (["fmt"], FAULTY, 1, FAULTY),
    (["fmt", "--check"], UGLY, 1, UGLY),
    (["fmt", "--check"], FINE, 0, FINE),
    (["fmt", "--check"], FAULTY, 1, FAULTY),
]


@pytest.mark.parametrize(("command", "text", "status", "after"), RUNS)
def test_command(tmp_path, command, text, status, after):
    path = tmp_path / "net.net"
    path.write_text(text)
    run = CliRunner().invoke(main, [*command, str(path)])
    assert run.exit_code == status
    assert path.read_text() == after


def test_faulty_file_does_not_stop_the_others(tmp_path):
    for name, text in (("a.net", FAULTY), ("b.net", UGLY)):
        (tmp_path / name).write_text(text)
    run = CliRunner().invoke(main, ["fmt", str(tmp_path / "a.net"), str(tmp_path / "b.net")])
    assert run.exit_code == 1
    assert (tmp_path / "b.net").read_text() == FINE


@pytest.mark.parametrize(("text", "status", "out"), [(UGLY, 0, FINE), (FINE, 0, FINE), (FAULTY, 1, "")])
def test_standard_input(text, status, out):
    run = CliRunner().invoke(main, ["fmt", "-"], input=text)
    assert (run.exit_code, run.stdout) == (status, out)


def test_a_syntax_fault_is_raised():
    with pytest.raises(SpecError):
        formatted("a: conv(\n")


QUOTED = [
    '"block": { relu }\n',
    '"in": relu\n',
    'a: { "if": relu }\ntanh <- a."if"\n',
    '"for": relu\nadd("for", "in")\n',
    '"7": relu\ntanh <- "7"\n',
]


@pytest.mark.parametrize("text", QUOTED)
def test_words_of_the_language_stay_in_quotes(text):
    assert tree(formatted(text)) == tree(text)
