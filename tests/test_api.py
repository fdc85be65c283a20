"""The public Python API: its names and signatures, errors, and how networks show themselves in notebooks."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import shutil
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from accepted import accepted
from click.testing import CliRunner
from places import SPECS

import netspec
from netspec.cli import main
from netspec.errors import NetspecError

# Changes of this table are changes of the public API.
SIGNATURES = {
    "check": "(spec: 'str | Path', *, input: 'Sizes | None' = None, **arguments: 'object') -> 'Report'",
    "load": "(spec: 'str | Path', *, input: 'Sizes | None' = None, **arguments: 'object') -> 'Network'",
}
NEED_TORCH = ["evaluate", "from_torch", "predict", "resume", "train"]
VALUES = ["Callback", "Diagnostic", "Net", "Network", "Report", "Run"]
ERRORS = [
    *(
        "ConvertError",
        "DataError",
        "ExportError",
        "FileError",
        "MissingPackageError",
        "NetspecError",
        "PictureError",
        "PluginError",
    ),
    *("RecipeError", "SettingError", "ShapeError", "SpecError", "TrainError", "WeightsError", "ZooError"),
]
METHODS = {
    "dot": "(self, *, direction: 'Direction' = 'TB', depth: 'int | None' = None) -> 'str'",
    "draw": "(self, path: 'str | Path', *, direction: 'Direction' = 'TB', depth: 'int | None' = None)"
    " -> 'Path'",
    "module": "(self, *, weights: 'Weights | None' = None) -> 'nn.Module'",
    "onnx": "(self, path: 'str | Path', *, weights: 'Weights | None' = None) -> 'Path'",
    "source": "(self) -> 'str'",
    "table": "(self, *, depth: 'int | None' = None, ops: 'bool' = False) -> 'str'",
    "to_dict": "(self) -> 'dict[str, object]'",
}
TEXT = "network Tiny\ninput image: 1x8x8\nconv(2, 3)\n"


def test_public_names():
    assert netspec.__all__ == sorted([*SIGNATURES, *NEED_TORCH, *VALUES, *ERRORS])
    assert all(getattr(netspec, name).__doc__ for name in netspec.__all__)


@pytest.mark.parametrize(("name", "wanted"), SIGNATURES.items(), ids=SIGNATURES)
def test_functions(name, wanted):
    assert str(inspect.signature(getattr(netspec, name))) == wanted


def test_functions_that_need_torch(golden):
    """Their signatures are pinned too, one parameter a line."""
    texts = [f"{name}{inspect.signature(getattr(netspec, name))}\n" for name in NEED_TORCH]
    golden("api.txt", "\n".join(texts).replace(", ", ",\n    "))


def test_methods_of_a_network():
    public = {n: m for n, m in vars(netspec.Network).items() if not n.startswith("_") and callable(m)}
    assert {name: str(inspect.signature(method)) for name, method in public.items()} == METHODS
    assert all(method.__doc__ for method in public.values())


@pytest.mark.parametrize("name", ERRORS)
def test_all_errors_derive_from_netspec_error(name):
    assert issubclass(getattr(netspec, name), NetspecError)


def test_every_error_class_is_exported():
    """Errors that leave the public functions; the others never leave the module that raises them."""
    internal = {
        "Exhausted",
        "Fault",
        "Faults",
        "Hidden",
        "Refused",
        "TraceError",
        "Unknown",
        "Interrupted",
        "SweepInterrupted",
        "WrongType",
    }
    found = {
        f"{name}"
        for module in modules()
        for name, kind in vars(module).items()
        if inspect.isclass(kind) and issubclass(kind, Exception) and kind.__module__ == module.__name__
    }
    assert found - internal <= set(ERRORS)


def modules():
    found = pkgutil.walk_packages(netspec.__path__, "netspec.")
    return [importlib.import_module(m.name) for m in found if not m.name.endswith("__main__")]


def test_no_module_is_hidden_by_a_name_of_its_package():
    hidden = []
    for module in modules():
        package, _, name = module.__name__.rpartition(".")
        if vars(sys.modules[package])[name] is not module:
            hidden.append(module.__name__)
    assert hidden == []


def test_a_spec_can_be_given_as_text():
    report = netspec.check(TEXT)
    assert report.require().totals.params == 20
    assert report.source.path == "<text>"
    assert netspec.load(TEXT).net.nodes[-1].shape == (2, 6, 6)


def test_errors_in_a_spec_given_as_text_have_locations():
    with pytest.raises(netspec.SpecError) as error:
        netspec.load("network Tiny\ninput image: 1x8x8\nconv(2, 30)\n")
    assert "<text>:3:" in str(error.value)
    assert error.value.diagnostics[0].code == "empty-output"


def test_a_spec_given_as_text_uses_files_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "block.net").write_text("block B { conv(2, 3) }\n")
    monkeypatch.chdir(tmp_path)
    text = 'use "block.net"\n'
    assert accepted(netspec.check(TEXT.replace("input", f"{text}input") + "B\n"))


def test_to_dict_equals_the_json_of_check():
    printed = CliRunner().invoke(main, ["check", str(SPECS / "lenet.net"), "--format", "json"]).stdout
    assert json.loads(json.dumps(netspec.load(SPECS / "lenet.net").to_dict())) == json.loads(printed)


def test_table_equals_the_output_of_check():
    printed = CliRunner().invoke(main, ["check", str(SPECS / "lenet.net")]).stdout
    assert printed.startswith(netspec.load(SPECS / "lenet.net").table())


def test_drawing_to_a_file(tmp_path: Path):
    network = netspec.load(TEXT)
    assert network.draw(tmp_path / "tiny.dot", direction="LR") == tmp_path / "tiny.dot"
    assert (tmp_path / "tiny.dot").read_text() == network.dot(direction="LR")


class Cells(HTMLParser):
    """The texts of a table's cells, row by row."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data


def test_a_network_shows_its_table_in_notebooks():
    network = netspec.load("alexnet_paper")
    head, *rows = Cells(network._repr_html_()).rows
    params = sum(int(row[head.index("params")].replace(",", "") or 0) for row in rows)
    assert params == network.net.totals.params
    assert repr(network) == f"<Network AlexNet: {network.net.totals.layers} layers, {params:,} parameters>"


def test_text_from_a_spec_is_escaped_in_notebooks():
    network = netspec.load(TEXT.replace("network Tiny", 'network Tiny "<script>alert(1)</script>"'))
    assert "script" not in Cells(network._repr_html_()).tags
    assert "&lt;script&gt;" in network._repr_html_()


def test_large_networks_are_folded_in_notebooks():
    assert len(Cells(netspec.load("densenet201")._repr_html_()).rows) < 100


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
def test_a_network_shows_its_drawing_in_notebooks():
    shown = netspec.load(TEXT)._repr_mimebundle_()
    assert shown["image/svg+xml"].lstrip().startswith("<?xml")
    assert shown.keys() == {"text/plain", "text/html", "image/svg+xml"}
    assert netspec.load(TEXT)._repr_mimebundle_(include={"text/html"}).keys() == {"text/html"}
    assert "text/html" not in netspec.load(TEXT)._repr_mimebundle_(exclude={"text/html"})


def test_notebooks_without_graphviz_show_the_table(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "")
    assert netspec.load(TEXT)._repr_mimebundle_().keys() == {"text/plain", "text/html"}


TRAINED = """network Tiny(classes = 10)
input image: 1x8x8
flatten
linear(classes)
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> netspec.Run:
    """A run of a spec given as text, on scikit-learn's digits."""
    out = tmp_path_factory.mktemp("api") / "run"
    return netspec.train(TRAINED, data="digits", epochs=1, out=out, device="cpu")


def test_a_spec_given_as_text_can_be_trained(run: netspec.Run):
    assert run.epochs == 1
    assert "netspec train" not in (run.folder / "recipe.net").read_text()
    assert netspec.evaluate(run.folder, device="cpu").score.images == 355


def test_a_run_shows_what_a_notebook_asks_for(run: netspec.Run):
    assert run._repr_mimebundle_().keys() == {"text/plain", "text/html", "image/svg+xml"}
    assert run._repr_mimebundle_(include={"text/plain"}).keys() == {"text/plain"}
    assert "image/svg+xml" not in run._repr_mimebundle_(exclude={"image/svg+xml"})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"workers": -1}, "`workers` must be at least 0, not -1"),
        ({"save_every": -1.0}, "`save_every` must be a number of minutes of at least 0, not -1.0"),
        ({"save_every": float("nan")}, "`save_every` must be a number of minutes"),
    ],
)
def test_training_refuses_settings_out_of_range(arguments, message, tmp_path: Path):
    with pytest.raises(netspec.TrainError, match=message):
        netspec.train(TRAINED, data="digits", epochs=1, out=tmp_path / "run", **arguments)


def test_predictions_name_at_least_one_class(run: netspec.Run):
    with pytest.raises(netspec.TrainError, match="`top` must be at least 1, not 0"):
        netspec.predict(run.folder, ["x.png"], top=0)


@pytest.mark.parametrize("name", ["digts", "folder", "mnist:1"])
def test_a_recipe_names_a_known_data_set(name: str):
    report = netspec.check(f'{TRAINED}train {{ data: "{name}" }}\n')
    (fault,) = report.diagnostics
    assert fault.code == "recipe"
    assert fault.span.text == f'data: "{name}"'
    assert netspec.check(f'{TRAINED}train {{ data: "folder:somewhere" }}\n').ok
