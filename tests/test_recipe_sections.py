"""Recipes from outside a spec: `--set train.key=value`, files of recipes, and recipes written back."""

from __future__ import annotations

from pathlib import Path

import pytest
from places import SPECS

import netspec
from netspec.checker import Report, check_file, check_source
from netspec.diagnostics import Source
from netspec.language.settings import read_setting
from netspec.language.values import Call
from netspec.memory import recipe_of
from netspec.recipe import Recipe, write
from netspec.recipe.schedules import Moment

LENET = {"caffe": True}
OVERRIDES: dict[str, tuple[object, object]] = {
    "train.batch": (32, lambda r: r.batch),
    "train.optimizer.lr": (0.5, lambda r: r.optimizer.lr),
    "train.optimizer.momentum": (0.8, lambda r: r.optimizer.momentum),
    "train.loss.label_smoothing": (0.1, lambda r: r.loss.label_smoothing),
    "train.ema": (0.99, lambda r: r.ema),
    "train.precision": ("bfloat16", lambda r: r.precision),
}
CALLS = {
    "train.optimizer=adamw(lr=0.001, weight_decay=0.05, bias_weight_decay=0)": "lr=0.001",
    "train.optimizer=sgd(lr=0.1, momentum=0.9, nesterov=true)": "nesterov=true",
    "train.schedule=cosine(warmup=3)": "warmup=3",
    "train.schedule=multistep([3, 5], unit=steps)": "milestones=[3.0, 5.0]",
    "train.loss=cross_entropy(label_smoothing=0.5)": "label_smoothing=0.5",
    'train.normalize=mean_file("mean.npy", order="bgr")': 'path="mean.npy"',
    "train.normalize=scale(1 / 256)": "factor=0.00390625",
    "train.augment=[flip, crop(2)]": "crop(padding=2)",
}
REFUSED = {
    "train.bach": (3, "a recipe has no entry named bach"),
    "train.batch": (-3, "batch must be above 0, found -3"),
    "train.batch.x": (3, "the entry `batch` of a recipe takes no arguments"),
    "train.optimizer": (3, "optimizer takes a name, not 3"),
    "train.optimizer.lrr": (3, "sgd has no argument named lrr"),
    "train.precision": ("half", "precision must be 'auto', 'float32', 'bfloat16' or 'float16', found"),
}
FILES = {
    "other statements": ("network X\ntrain { batch: 3 }", "a recipe file can only contain a `train` section"),
    "two sections": ("train { batch: 3 }\ntrain { batch: 3 }", "must contain one `train` section, but"),
    "unknown entry": ("train { bacth: 3 }", "a recipe has no entry named bacth"),
    "unknown layer": ("train { init: [start(\"fc9*\", 0)] }", "no layer with weights is named `fc9*`"),
    "unknown start": ("train { init: [start(\"ip1\", foo(3))] }", "the initializer of ip1 must be"),
    "cut off": ("train { batch:", "is never closed"),
}  # fmt: skip


def by_file(text: str, tmp_path: Path) -> Report:
    path = tmp_path / "recipe.net"
    path.write_text(text)
    return check_file(SPECS / "lenet.net", LENET, recipe=path)


@pytest.mark.parametrize("key", OVERRIDES)
def test_entries_can_be_set_on_the_command_line(key):
    value, look = OVERRIDES[key]
    report = netspec.check("lenet", **LENET, **{key: value})
    assert look(recipe_of(report.require())) == value
    assert "train" not in str(report.arguments)


@pytest.mark.parametrize(("setting", "said"), CALLS.items())
def test_calls_can_be_set_with_their_arguments(setting, said):
    name, value = read_setting(setting)
    recipe = recipe_of(netspec.check("lenet", **LENET, **{name: value}).require())
    assert said in write(recipe)


def test_arguments_on_the_command_line_are_checked():
    name, value = read_setting("train.schedule=cosine(warmup=-1)")
    report = netspec.check("lenet", **LENET, **{name: value})
    assert report.status == 2
    assert report.diagnostics[0].span.text == "train.schedule=cosine(warmup=-1)"


@pytest.mark.parametrize("key", REFUSED)
def test_unknown_settings_are_wrong_use(key):
    value, message = REFUSED[key]
    report = netspec.check("lenet", **LENET, **{key: value})
    assert (report.net, report.status) == (None, 2)
    assert message in report.diagnostics[0].message
    assert report.diagnostics[0].span.text.startswith(key)


@pytest.mark.parametrize(("text", "message"), FILES.values(), ids=FILES)
def test_errors_in_a_recipe_file_are_shown_in_that_file(text, message, tmp_path):
    report = by_file(text, tmp_path)
    assert report.net is None
    found = [d for d in report.diagnostics if message in d.message]
    assert found
    assert found[0].span.source.path.endswith("recipe.net")


def test_a_recipe_file_replaces_the_train_section(tmp_path):
    report = by_file(
        'train "someone, 1999" { batch: 7; init: [start("ip*", normal(0.5), bias=1)] }', tmp_path
    )
    net = report.require()
    assert (recipe_of(net).batch, recipe_of(net).data, net.recipe_citation) == (7, None, "someone, 1999")
    starts = {n.name: n.op.starts() for n in net.nodes if n.name in ("ip1", "conv1")}
    assert starts["ip1"]["weight"] == Call("normal", (), {"std": 0.5})
    assert starts["ip1"]["bias"] == Call("constant", (), {"val": 1.0})
    assert starts["conv1"]["weight"].name == "kaiming_uniform"


def wordy() -> str:
    return (
        'train { data: "folder:a b"; augment: [flip]; optimizer: adamw(1e-5, [0.8, 0.99], '
        "bias_weight_decay=0);"
        ' schedule: multistep([3.5, 5], unit=steps, warmup=1); init: [start("ip1", normal(0.005), bias=0.1)];'
        " ema: 0.9999; clip_grad_norm: 1; accumulate: 4; compile: false; normalize: scale(1 / 256) }"
    )


@pytest.mark.parametrize("spec", ["lenet", "alexnet_paper", "resnet50", "file"])
def test_a_written_recipe_is_read_back_unchanged(spec, tmp_path):
    report = by_file(wordy(), tmp_path) if spec == "file" else netspec.check(spec, classes=10)
    recipe = recipe_of(report.require())
    path = tmp_path / "written.net"
    path.write_text(write(recipe, 'by "me"'.replace('"', "'")))
    found = locate_path(spec)
    again = check_file(found[0], found[1], recipe=path).require()
    assert recipe_of(again) == recipe
    assert again.recipe_citation == "by 'me'"


def locate_path(spec: str) -> tuple[Path, dict[str, object]]:
    from netspec.library import locate

    if spec == "file":
        return SPECS / "lenet.net", dict(LENET)
    found = locate(spec)
    return found.path, dict(found.arguments)


OWN = {"alexnet_caffe": "alexnet", "alexnet_torchvision": "alexnet", "lenet_fast": "lenet"}


@pytest.mark.parametrize("recipe", sorted(p.stem for p in (SPECS.parent / "recipes").glob("*.net")))
def test_builtin_recipes_fit_their_networks(recipe):
    from netspec.library import locate_recipe

    arguments = LENET if OWN[recipe] == "lenet" else {}
    report = check_file(SPECS / f"{OWN[recipe]}.net", arguments, recipe=locate_recipe(recipe))
    assert report.require().recipe_citation
    assert not report.diagnostics


def test_the_caffe_recipe_equals_the_files_of_caffe():
    """bvlc_alexnet's solver.prototxt and train_val.prototxt."""
    net = check_file(SPECS / "alexnet.net", recipe=SPECS.parent / "recipes" / "alexnet_caffe.net").require()
    recipe = recipe_of(net)
    assert recipe.optimizer.bias_weight_decay == 0
    biases = {n.name: n.op.starts()["bias"].kwargs["val"] for n in net.nodes if n.params}
    assert biases == {
        **dict.fromkeys(("conv1", "conv3", "fc8"), 0.0),
        **dict.fromkeys(("conv2", "conv4", "conv5", "fc6", "fc7"), 0.1),
    }
    deviations = {n.name: n.op.starts()["weight"].kwargs["std"] for n in net.nodes if n.params}
    assert {n for n, std in deviations.items() if std == 0.005} == {"fc6", "fc7"}
    moments = [recipe.schedule.scale(Moment(step, 5004, 90)) for step in (99_999, 100_000, 400_000)]
    assert moments == pytest.approx([1, 0.1, 1e-4])


def test_text_that_cannot_be_quoted_is_rejected():
    with pytest.raises(ValueError, match="cannot contain quotes"):
        write(Recipe(data='folder:a"b'))


def test_a_citation_is_kept_by_the_formatter():
    from netspec.language.formatter import format_source

    text = 'train "someone" {\n  batch: 3\n}\n'
    assert format_source(Source("x.net", text)) == text


def test_an_override_needs_no_section_in_the_spec():
    source = Source("x.net", "network X\ninput i: 3\nlinear(2)\n")
    net = check_source(source, Path(), {"train.batch": 5}).require()
    assert recipe_of(net).batch == 5
