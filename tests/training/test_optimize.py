"""Optimizers and schedules, compared with the paper's formula and with torch."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    ExponentialLR,
    MultiStepLR,
    OneCycleLR,
    PolynomialLR,
    ReduceLROnPlateau,
    StepLR,
)

from netspec.recipe import Recipe
from netspec.recipe.optimizers import AdaGrad, Adam, AdamW, NAdam, Optimizer, RAdam, RmsProp, Sgd
from netspec.recipe.schedules import (
    Cosine,
    Exponential,
    Moment,
    Multistep,
    OneCycle,
    Plateau,
    Poly,
    Schedule,
    Step,
)
from netspec.training.optim import LearningRate, decay_and_scale, make_optimizer

UPDATE = {*Optimizer.model_fields} - {"weight_decay", "lr"}
RATES = [0.1, 0.1, 0.1, 0.01, 0.01, 0.3, 0.3]
RECIPES = {
    "momentum and decay": Sgd(lr=0.1, momentum=0.9, weight_decay=0.01),
    "momentum": Sgd(lr=0.1, momentum=0.9),
    "decay": Sgd(lr=0.1, weight_decay=0.01),
    "plain": Sgd(lr=0.1),
    "nesterov": Sgd(lr=0.1, momentum=0.9, weight_decay=0.01, nesterov=True),
}


def network() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()


def gradients(module: nn.Module) -> None:
    module.zero_grad()
    module(torch.linspace(-1, 1, 15).double().view(5, 3)).square().sum().backward()


def by_the_paper(module: nn.Module, recipe: Sgd, rates: list[float]) -> None:
    """v := m v - d e w - e g; w := w + v, one number at a time."""
    velocities = [[0.0] * p.numel() for p in module.parameters()]
    for rate in rates:
        gradients(module)
        for parameter, velocity in zip(module.parameters(), velocities, strict=True):
            assert parameter.grad is not None
            weights, slopes = parameter.data.view(-1), parameter.grad.view(-1)
            for i in range(len(velocity)):
                pull = rate * (recipe.weight_decay * float(weights[i]) + float(slopes[i]))
                velocity[i] = recipe.momentum * velocity[i] - pull
                weights[i] += recipe.momentum * velocity[i] - pull if recipe.nesterov else velocity[i]


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_the_update_follows_the_paper_when_the_rate_changes(recipe: Sgd) -> None:
    ours, theirs = network(), network()
    optimizer = make_optimizer(ours, recipe)
    for rate in RATES:
        for group in optimizer.param_groups:
            group["lr"] = rate
        gradients(ours)
        optimizer.step()
    by_the_paper(theirs, recipe, RATES)
    torch.testing.assert_close(list(ours.parameters()), list(theirs.parameters()), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_at_a_constant_rate_the_update_equals_torchs(recipe: Sgd) -> None:
    ours, theirs = network(), network()
    mine = make_optimizer(ours, recipe)
    other = torch.optim.SGD(theirs.parameters(), **recipe.model_dump(exclude={"kind", *UPDATE}))
    for _ in range(5):
        for module, optimizer in ((ours, mine), (theirs, other)):
            gradients(module)
            optimizer.step()
    torch.testing.assert_close(list(ours.parameters()), list(theirs.parameters()), rtol=1e-11, atol=1e-13)


def test_frozen_weights_and_weights_without_gradient_do_not_change() -> None:
    module = nn.ModuleList([nn.Linear(2, 2) for _ in range(3)])
    module[0].requires_grad_(False)
    before = copy.deepcopy(module.state_dict())
    optimizer = make_optimizer(module, Recipe().optimizer)
    module[1](torch.ones(1, 2)).sum().backward()
    optimizer.step()
    changed = {name for name, value in module.state_dict().items() if not value.equal(before[name])}
    assert changed == {"1.weight", "1.bias"}


def test_state_saves_and_loads() -> None:
    recipe, straight, broken = RECIPES["momentum and decay"], network(), network()
    first = make_optimizer(straight, recipe)
    second = make_optimizer(broken, recipe)
    for step in range(6):
        if step == 3:
            saved = second.state_dict()
            second = make_optimizer(broken, recipe)
            second.load_state_dict(saved)
        for module, optimizer in ((straight, first), (broken, second)):
            gradients(module)
            optimizer.step()
    assert all(a.equal(b) for a, b in zip(straight.parameters(), broken.parameters(), strict=True))


# Each schedule and torch's equivalent, which takes a step per epoch; epochs have one step.
TORCHS = {
    "step": (Step(size=3, factor=0.5), lambda o: StepLR(o, 3, 0.5)),
    "multistep": (Multistep(milestones=(2, 5)), lambda o: MultiStepLR(o, [2, 5])),
    "poly": (Poly(power=2.0), lambda o: PolynomialLR(o, 12, 2.0)),
    "cosine": (Cosine(), lambda o: CosineAnnealingLR(o, 12)),
    "cosine to a fraction": (Cosine(final=0.1), lambda o: CosineAnnealingLR(o, 12, 0.04)),
    "exponential": (Exponential(factor=0.9), lambda o: ExponentialLR(o, 0.9)),
    "one cycle": (OneCycle(), lambda o: OneCycleLR(o, 0.4, 12)),
    "one cycle, linear": (
        OneCycle(pct_start=0.5, anneal="linear", div_factor=10, final_div_factor=20),
        lambda o: OneCycleLR(
            o, 0.4, 12, pct_start=0.5, anneal_strategy="linear", div_factor=10, final_div_factor=20
        ),
    ),
}


@pytest.mark.parametrize(("schedule", "make"), TORCHS.values(), ids=TORCHS)
def test_schedules_equal_torchs(schedule: Schedule, make: object) -> None:
    assert callable(make)
    recipe = Recipe(epochs=12, schedule=schedule, optimizer=Sgd(lr=0.4))
    rate = LearningRate(make_optimizer(network(), recipe.optimizer), recipe, steps_per_epoch=1)
    other = torch.optim.SGD(network().parameters(), lr=0.4, momentum=0.5)
    theirs = make(other)
    for step in range(12):
        rate.before_step(step)
        assert rate.current == pytest.approx(other.param_groups[0]["lr"], abs=1e-9)
        other.step()
        theirs.step()


def test_a_plateau_drops_as_torchs_does_up_to_its_limit() -> None:
    errors = [0.9, 0.8, 0.8, 0.8, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.6]
    recipe = Recipe(epochs=99, schedule=Plateau(drops=2, patience=2), optimizer=Sgd(lr=1.0))
    rate = LearningRate(make_optimizer(network(), recipe.optimizer), recipe, steps_per_epoch=1)
    other = torch.optim.SGD(network().parameters(), lr=1.0)
    theirs = ReduceLROnPlateau(other, patience=1, threshold=0.0, min_lr=0.01)
    for step, error in enumerate(errors):
        rate.before_step(step)
        assert rate.current == pytest.approx(other.param_groups[0]["lr"])
        rate.after_epoch(error)
        theirs.step(error)
    assert rate.drops == 2


def test_a_schedules_state_saves_and_loads() -> None:
    recipe = Recipe(schedule=Plateau(patience=1), optimizer=Sgd(lr=1.0))
    rates = [LearningRate(make_optimizer(network(), recipe.optimizer), recipe, 1) for _ in range(2)]
    rates[0].after_epoch(0.5)
    rates[0].after_epoch(0.5)
    rates[1].load_state_dict(rates[0].state_dict())
    rates[1].before_step(2)
    assert rates[1].current == pytest.approx(0.1)


OTHERS = {
    "adam": (Adam(lr=0.1, weight_decay=0.01, amsgrad=True), torch.optim.Adam),
    "adamw": (AdamW(lr=0.1, betas=(0.8, 0.99)), torch.optim.AdamW),
    "nadam": (NAdam(lr=0.1), torch.optim.NAdam),
    "radam": (RAdam(lr=0.1), torch.optim.RAdam),
    "rmsprop": (RmsProp(lr=0.1, alpha=0.9, eps=0.03, momentum=0.9), torch.optim.RMSprop),
    "adagrad": (AdaGrad(lr=0.1), torch.optim.Adagrad),
}


@pytest.mark.parametrize(("recipe", "make"), OTHERS.values(), ids=OTHERS)
def test_other_optimizers_equal_torchs(recipe: Optimizer, make: type[torch.optim.Optimizer]) -> None:
    ours, theirs = network(), network()
    options = recipe.model_dump(exclude={"kind", *UPDATE}) | {"weight_decay": recipe.weight_decay}
    optimizers = (make_optimizer(ours, recipe), make(theirs.parameters(), **options))  # type: ignore[call-arg]
    for _ in range(5):
        for module, optimizer in zip((ours, theirs), optimizers, strict=True):
            gradients(module)
            optimizer.step()
    torch.testing.assert_close(list(ours.parameters()), list(theirs.parameters()), rtol=1e-9, atol=1e-12)


def test_weight_decay_and_rate_depend_on_the_kind_of_parameter() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
            self.token, self.attention = nn.Parameter(torch.zeros(4)), nn.MultiheadAttention(4, 2)

    recipe = Sgd(
        lr=0.1, weight_decay=0.5, norm_weight_decay=0.1, bias_weight_decay=0.2, embedding_weight_decay=0.3,
        bias_lr=2,
    )  # fmt: skip
    module = Net()
    found = {
        id(p): (group["weight_decay"], group["lr"])
        for group in make_optimizer(module, recipe).param_groups
        for p in group["params"]
    }
    told = {name: found[id(p)] for name, p in module.named_parameters()}
    assert told == {
        "conv.weight": (0.5, 0.1),
        "conv.bias": (0.2, 0.2),
        "norm.weight": (0.1, 0.1),
        "norm.bias": (0.1, 0.2),
        "token": (0.3, 0.1),
        "attention.in_proj_weight": (0.5, 0.1),
        "attention.in_proj_bias": (0.2, 0.2),
        "attention.out_proj.weight": (0.5, 0.1),
        "attention.out_proj.bias": (0.2, 0.2),
    }
    assert decay_and_scale(module.norm, "bias", Sgd(lr=0.1, weight_decay=0.5)) == (0.5, 1.0)


def test_warmup_is_linear_and_units_can_be_steps() -> None:
    rise = Cosine(warmup=2, warmup_start=0.1)
    scales = [rise.scale(Moment(step, 4, 10)) for step in range(9)]
    assert scales[:8] == pytest.approx([0.1 + 0.9 * (k + 1) / 9 for k in range(8)])
    assert scales[8] == 1.0
    steps = Step(size=6, unit="steps")
    assert [steps.scale(Moment(step, 4, 10)) for step in (0, 5, 6, 12)] == pytest.approx([1, 1, 0.1, 0.01])
    halves = Step(size=2.5)
    assert [halves.scale(Moment(step, 4, 10)) for step in (9, 10)] == pytest.approx([1, 0.1])
