"""The zoo: its cards against torchvision and against the specs, its names and its commands."""

from __future__ import annotations

import ast
import csv
import io
import json
import math
import re
from pathlib import Path

import pytest
import torch
import torchvision
from click.testing import CliRunner, Result
from places import HERE, SPECS
from pydantic import ValidationError
from torchvision import models

import netspec
from netspec import zoo
from netspec.cli import main
from netspec.library import locate

CARDS = {name: zoo.card(name) for name in zoo.names()}
BUILDERS = models.list_models(module=torchvision.models)


def netspec_(*arguments: object) -> Result:
    run = CliRunner().invoke(main, [str(a) for a in arguments])
    assert run.exception is None or isinstance(run.exception, SystemExit), run.exc_info
    return run


# Cards


@pytest.mark.parametrize("path", sorted(zoo.folder().iterdir()), ids=lambda p: p.name)
def test_a_card_is_named_as_its_file(path):
    assert zoo.read(path).name + ".yaml" == path.name


def test_every_builder_of_torchvision_has_its_card():
    assert [c.torchvision for c in CARDS.values() if c.torchvision] == BUILDERS
    assert all(c.torchvision in (None, name) for name, c in CARDS.items())


def test_every_card_has_a_spec():
    assert {c.spec for c in CARDS.values()} <= {p.stem for p in SPECS.glob("*.net")}


@pytest.mark.parametrize("name", BUILDERS)
def test_results_equal_those_of_torchvision(name):
    card = CARDS[name]
    entries = list(models.get_model_weights(name))
    assert [r.weights for r in card.results] == [e.name for e in entries]
    for result, entry in zip(card.results, entries, strict=True):
        metrics = entry.meta["_metrics"]["ImageNet-1K"]
        published = [None if math.isnan(m) else m for m in (metrics["acc@1"], metrics["acc@5"])]
        assert [result.top1, result.top5] == published
        assert (result.url, result.recipe) == (entry.url, entry.meta["recipe"])
        assert result.license == entry.meta.get("license")
        images, ours = entry.transforms(), result.evaluation
        assert (images.resize_size, images.crop_size) == ([ours.resize], [ours.crop])
        assert images.interpolation.value == ours.interpolation
        rescaled = name in ("googlenet", "inception_v3")
        mean, std = ([0.5] * 3, [0.5] * 3) if rescaled else (images.mean, images.std)
        assert (list(ours.mean), list(ours.std)) == (list(mean), list(std))


@pytest.mark.parametrize("name", BUILDERS)
def test_published_counts_equal_those_of_torchvision(name):
    card = CARDS[name]
    same = [
        e.meta for r, e in zip(card.results, models.get_model_weights(name), strict=True)
        if r.evaluation.crop == card.side
    ]  # fmt: skip
    assert card.published.macs in [round(m["_ops"] * 1000) * 10**6 for m in same]
    heads = 6_379_984 if name == "googlenet" else 0  # torchvision leaves them out there alone
    assert card.published.params in [m["num_params"] + heads for m in same]


def test_googlenet_and_inception_expect_images_from_minus_one_to_one():
    """Their builders take ImageNet's mean and std and then rescale inside, as specs do not."""
    image = torch.rand(1, 3, 8, 8)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    inside = models.googlenet(init_weights=False, transform_input=True)._transform_input((image - mean) / std)
    ours = CARDS["googlenet"].results[0].evaluation
    torch.testing.assert_close(inside, (image - ours.mean[0]) / ours.std[0])


@pytest.mark.parametrize("name", CARDS)
def test_the_counts_of_a_card_equal_those_of_its_spec(name):
    card, report = CARDS[name], netspec.check(name)
    net = report.require()
    assert not report.diagnostics + report.remarks
    assert card.arguments.items() <= net.arguments.items()
    assert net.totals.params == card.published.params
    assert abs(net.totals.macs - card.published.macs) <= 500_000
    assert tuple(net.inputs[0].shape) == card.published.input
    assert net.depth == card.depth


DEPTHS = re.compile(r"^(?:vgg|resnet|densenet|resnext)(\d+)|^wide_resnet(\d+)")


def test_depth_is_the_number_in_the_names_of_the_papers():
    named = {name: int(found[1] or found[2]) for name in CARDS if (found := DEPTHS.match(name))}
    assert len(named) > 30
    assert {name: CARDS[name].depth for name in named} == named
    assert (CARDS["googlenet_paper"].depth, CARDS["inception_v3"].depth) == (22, 48)


def test_every_field_of_a_card_is_documented():
    classes = [n for n in ast.parse(Path(zoo.__file__).read_text()).body if isinstance(n, ast.ClassDef)]
    for made in classes:
        for field, after in zip(made.body, [*made.body[1:], None], strict=True):
            if isinstance(field, ast.AnnAssign):
                assert isinstance(after, ast.Expr), f"{made.name}.{ast.unparse(field.target)}"
                assert isinstance(after.value, ast.Constant)


WRONG = [
    ("params: 25_557_032", 'params: "25557032"'),
    ("params: 25_557_032", "params: 0"),
    ("input: [3, 224, 224]", "input: [3, 224]"),
    ("top1: 76.130", "top1: 176.130"),
    ("top1: 76.130", "top1: .nan"),
    ("top1: 76.130", "top_1: 76.130"),
    ("name: resnet50", "name: ResNet 50"),
    ("url: https://arxiv", "url: http://arxiv"),
    ("  year: 2015\n", ""),
]


@pytest.mark.parametrize(("right", "wrong"), WRONG)
def test_an_invalid_card_is_rejected(tmp_path, right, wrong):
    text = (zoo.folder() / "resnet50.yaml").read_text()
    assert right in text
    (tmp_path / "resnet50.yaml").write_text(text.replace(right, wrong))
    with pytest.raises(ValidationError):
        zoo.read(tmp_path / "resnet50.yaml")


def test_a_card_cannot_run_code(tmp_path):
    (tmp_path / "x.yaml").write_text("!!python/object/apply:os.getcwd []")
    with pytest.raises(Exception, match="could not determine a constructor"):
        zoo.read(tmp_path / "x.yaml")


# Names

PLACES = [
    ("vgg11", "vgg", {"depth": 11, "norm": False}),
    ("vgg19_bn", "vgg", {"depth": 19, "norm": True}),
    ("alexnet", "alexnet_owt", {}),
    ("alexnet_paper", "alexnet", {"towers": 2}),
    ("vgg", "vgg", {}),
    ("lenet", "lenet", {}),
]


@pytest.mark.parametrize(("name", "spec", "arguments"), PLACES)
def test_a_name_is_resolved_to_a_spec(name, spec, arguments):
    found = locate(name)
    assert (found.path, found.arguments) == (SPECS / f"{spec}.net", arguments)


@pytest.mark.parametrize("name", ["vgg11", "vgg"])
def test_a_file_takes_precedence_over_a_zoo_name(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    Path(name).write_text("network Mine\ninput x: 3x8x8\nrelu\n")
    assert netspec.load(name).net.name == "Mine"
    assert netspec.load(name).card is None


@pytest.mark.parametrize(
    ("arguments", "depth", "norm"), [({}, 11, True), ({"norm": False}, 11, False), ({"depth": 13}, 13, True)]
)
def test_arguments_override_those_of_the_card(arguments, depth, norm):
    made = netspec.load("vgg11_bn", **arguments)
    assert made.net.arguments == {"depth": depth, "norm": norm, "classes": 1000}
    assert made.card == CARDS["vgg11_bn"]


def test_totals_are_skipped_for_other_arguments():
    assert netspec.check("vgg11_bn").remarks == ()
    (remark,) = netspec.check("vgg11_bn", classes=10).remarks
    assert remark == "skipped expected totals: they assume the defaults, but classes = 10"


NEAR = [
    ("alexnett", "alexnet` or `"),
    ("vgg17", "vgg19` or `vgg16`?"),
    ("resnet5O", "resnet50"),
    ("lenett", "lenet"),
    ("swin_x", "swin_"),
]


@pytest.mark.parametrize(("wrong", "right"), NEAR)
def test_an_unknown_name_gives_a_suggestion(wrong, right):
    with pytest.raises(netspec.SpecError, match="does not exist") as caught:
        netspec.load(wrong)
    assert f"did you mean `{right}" in caught.value.diagnostics[0].help


# Commands

LINES = [
    ("zoo", 0, ["resnet50", "25,557,032", "4.089 G", "80.858", "3x224x224", "He, Zhang, Ren and Sun, 2015"]),
    ("zoo list", 0, ["98 networks"]),
    ("zoo vgg*", 0, ["8 networks", "vgg19_bn"]),
    ("zoo resnet50", 0, ["1 network;"]),
    ("zoo --family mobilenet", 0, ["3 networks"]),
    ("zoo --max-params 2M", 0, ["squeezenet1_1", "14 networks"]),
    ("zoo --max-params 1", 0, ["0 networks"]),
    ("zoo vgg* --format markdown", 0, ["| 3x224x224 | 16 | 138,357,544 | 15.47 G | 71.592 |"]),
    ("zoo --max-params many", 2, ["a count must be a number such as 30M"]),
    ("zoo --family rexnet", 2, ["no family `rexnet`: did you mean `resnet`"]),
    ("zoo --family x", 2, ["expected one of alexnet, cifar10"]),
    ("zoo resent*", 2, ["the zoo has no network `resent*`: did you mean `resnet"]),
    ("zoo --sort size", 2, ["'top1'"]),
    ("zoo -h", 0, ["list", "show"]),
    ("zoo show resnet50", 0, ["specs/resnet.net with depth=50", "IMAGENET1K_V2\n", "80.858 %", "to 232"]),
    ("zoo show alexnet_paper", 0, ["errors 40.7 % and 18.2 %", "ten crops", "towers=2"]),
    ("zoo show resnet5O", 2, ["the zoo has no network `resnet5O`: did you mean `resnet50`"]),
    ("zoo show", 2, ["NAME"]),
    ("check vgg11 --depth 1", 0, ["132,863,336 parameters", "vgg11: ok"]),
    ("check vgg11 --depth 1 --set norm=true", 0, ["132,868,840 parameters"]),
    ("check VGG11 --depth 1", 0, ["132,863,336 parameters", "VGG11: ok"]),
    ("zoo show ResNet18", 0, ["resnet18"]),
    ("zoo ResNet18 vgg1?", 0, ["resnet18", "vgg11", "vgg13", "vgg16", "vgg19", "5 networks"]),
    ("zoo resnet18 nothing", 2, ["no network `nothing`"]),
    ("zoo --max-macs 0.1G", 0, ["shufflenet_v2_x0_5"]),
    ("zoo --max-macs 0.1G --max-params 2M", 0, ["shufflenet_v2_x0_5"]),
    ("check vgg17", 1, ["did you mean `vgg19` or `vgg16`?"]),
    ("export vgg13", 0, ["class VGG(nn.Module)"]),
]  # fmt: skip


@pytest.mark.parametrize(("line", "status", "texts"), LINES)
def test_command(line, status, texts):
    run = netspec_(*line.split())
    assert run.exit_code == status
    assert [t for t in texts if t not in run.output] == []


ORDERS = [
    ("name", "alexnet"),
    ("depth", "cifar10_full"),
    ("params", "lenet5"),
    ("macs", "lenet5"),
    ("top1", "vit_h_14"),
    ("year", "lenet5"),
]


@pytest.mark.parametrize(("order", "first"), ORDERS)
def test_order(order, first):
    rows = list(csv.DictReader(io.StringIO(netspec_("zoo", "--sort", order, "--format", "csv").stdout)))
    assert rows[0]["name"] == first
    assert len(rows) == len(CARDS)


def test_json_has_the_fields_of_the_file():
    (made,) = json.loads(netspec_("zoo", "resnet50", "--format", "json").stdout)
    assert made == json.loads(netspec_("zoo", "show", "resnet50", "--format", "json").stdout)
    assert zoo.Card.model_validate_json(json.dumps(made)) == CARDS["resnet50"]
    counts = {"params": 25_557_032, "macs": 4_089_000_000, "input": [3, 224, 224]}
    assert made["published"] == {"source": "torchvision's metadata", **counts}


FIGURE = re.compile(r"([\d.]+) (M parameters|G multiply-adds)")


@pytest.mark.parametrize("name", [name for name, card in CARDS.items() if card.paper.figures])
def test_the_figures_of_papers_are_near_the_counts(name):
    """Papers round, leave out the biases, and count other inputs; a figure of another network is far off."""
    card = CARDS[name]
    side = re.search(r"at (\d+) px", card.paper.figures or "")
    scale = (int(side[1]) / card.side) ** 2 if side else 1.0
    own = {"M parameters": card.published.params / 1e6, "G multiply-adds": card.published.macs * scale / 1e9}
    found = FIGURE.findall(card.paper.figures or "")
    assert found
    for number, unit in found:
        assert float(number) == pytest.approx(own[unit], rel=0.13, abs=0.051), (number, unit)


def test_the_source_of_every_count_is_named():
    for card in CARDS.values():
        assert card.published.source.startswith("torchvision's" if card.torchvision else "netspec's")


def test_draw(tmp_path):
    assert netspec_("draw", "vgg11", "-o", tmp_path / "net.dot").exit_code == 0
    assert "features" in (tmp_path / "net.dot").read_text()


def test_the_wheel_contains_the_cards():
    text = (HERE.parent / "pyproject.toml").read_text()
    assert 'zoo = "netspec/cards"' in text
    assert '"pyyaml' in text
