"""Optimizers, schedules, losses and devices: documentation, their counterparts in torch, and tests."""

from __future__ import annotations

import inspect
import pkgutil
import re

import pytest
import torch
from places import HERE
from test_optimize import OTHERS, TORCHS
from torch import nn

from netspec.cli.results import eval_command, predict_command
from netspec.cli.train import train_command
from netspec.recipe import Recipe, read, write
from netspec.recipe.devices import DEVICES
from netspec.recipe.objective import LOSSES
from netspec.recipe.optimizers import OPTIMIZERS, Adam, Optimizer, RmsProp, Sgd
from netspec.recipe.reading import parameters
from netspec.recipe.schedules import SCHEDULES, Constant, Inv, Plateau, Schedule
from netspec.training.optim import make_optimizer

# Members with a test: rows of the tables in test_optimize.py, and members that it tests separately.
OPTIMIZER_ROWS = {Sgd, *(type(recipe) for recipe, _ in OTHERS.values())}
SCHEDULE_ROWS = {Constant, Inv, Plateau, *(type(schedule) for schedule, _ in TORCHS.values())}
# Every optimizer with its defaults, and with the options that change the state it stores.
STATES = {
    **{name: part(lr=0.1) for name, part in OPTIMIZERS.items()},
    "sgd with momentum": Sgd(lr=0.1, momentum=0.9),
    "adam with amsgrad": Adam(amsgrad=True),
    "rmsprop with momentum": RmsProp(momentum=0.9),
}


@pytest.mark.parametrize("registry", [OPTIMIZERS, SCHEDULES, LOSSES], ids=lambda registry: registry.noun)
def test_every_member_has_its_own_docstring(registry):
    assert registry
    assert [name for name, part in registry.items() if not part.__dict__.get("__doc__")] == []
    assert len({part.__doc__ for part in registry.values()}) == len(registry)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_torch_accepts_the_fields_of_an_optimizer(name):
    part = OPTIMIZERS[name]
    accepted = inspect.signature(pkgutil.resolve_name(part.torch)).parameters
    own = {*part.model_fields} - {*Optimizer.model_fields, "kind"}
    if part is not Sgd:  # Momentum passes its options on to torch's SGD
        assert own <= {*accepted}
    assert issubclass(pkgutil.resolve_name(part.torch), torch.optim.Optimizer)
    assert part in OPTIMIZER_ROWS, f"{name} has no row in test_optimize.OTHERS"


@pytest.mark.parametrize("recipe", STATES.values(), ids=STATES)
def test_the_estimated_state_is_what_torch_stores(recipe):
    module = nn.Linear(3, 2)
    optimizer = make_optimizer(module, recipe)
    module(torch.rand(4, 3)).sum().backward()
    optimizer.step()
    for parameter in module.parameters():
        state = optimizer.state[parameter]
        stored = [v for v in state.values() if isinstance(v, torch.Tensor) and v.shape == parameter.shape]
        assert len(stored) == recipe.state_per_parameter


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_has_a_formula_and_a_test(name):
    assert SCHEDULES[name].after_warmup is not Schedule.after_warmup
    assert SCHEDULES[name] in SCHEDULE_ROWS, f"{name} has no row in test_optimize.TORCHS"


@pytest.mark.parametrize("name", LOSSES)
def test_torch_accepts_the_fields_of_a_loss(name):
    part = LOSSES[name]
    accepted = inspect.signature(pkgutil.resolve_name(part.torch)).parameters
    assert {*part.model_fields} - {"kind"} <= {*accepted}


def test_devices_report_whether_they_are_available():
    assert [*DEVICES][-1] == "cpu"
    for device in DEVICES.values():
        assert isinstance(pkgutil.resolve_name(device.torch)(), bool)
        assert device.doc.endswith(".")
    assert pkgutil.resolve_name(DEVICES["cpu"].torch)()


def test_a_new_optimizer_is_one_class():
    """It can be read and written in recipes, and is saved in checkpoints."""

    class Rprop(Optimizer):
        """Resilient backpropagation (Riedmiller and Braun, 1993)."""

        torch = "torch.optim.Rprop"
        kind: str = "rprop"
        lr: float = 0.01

    try:
        recipe = read({"optimizer": "rprop"})
        assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe
        assert "optimizer: rprop(" in write(recipe)
    finally:
        del OPTIMIZERS._members["rprop"]


@pytest.mark.parametrize("registry", [OPTIMIZERS, SCHEDULES], ids=lambda registry: registry.noun)
def test_the_document_lists_every_member(registry, request):
    """`pytest --bless` writes the table."""
    path = HERE.parent / "docs" / "training.md"
    base = {*next(iter(registry.values())).__mro__[1].model_fields} - {"lr"}
    lines = [f"| {registry.noun} | arguments | |", "| --- | --- | --- |"]
    for name, part in registry.items():
        arguments = ", ".join(f"`{argument}`" for argument in parameters(part) if argument not in base)
        lines.append(f"| `{name}` | {arguments} | {part.__doc__.strip().splitlines()[0]} |")
    table = "\n".join(lines) + "\n\n"
    page = path.read_text("utf-8")
    if request.config.getoption("--bless"):
        begin = page.index(lines[0])
        end = page.index("\n\n", begin) + 2
        page = page[:begin] + table + page[end:]
        path.write_text(page, "utf-8")
    assert table in page


@pytest.mark.parametrize("command", [train_command, eval_command, predict_command], ids=lambda c: c.name)
def test_commands_name_every_device(command):
    option = next(option for option in command.params if option.name == "device")
    assert {"auto", *DEVICES} <= {*re.findall(r"\w+", option.help)}
