"""Reading recipes: valid entries, and the faults of invalid ones."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import ValidationError

from netspec.language.values import Call
from netspec.recipe import Fault, Recipe, RecipeError, read
from netspec.recipe.images import AUGMENTATIONS, NORMALIZATIONS, Flip, Lighting, Mean
from netspec.recipe.objective import INITIALIZERS, LOSSES
from netspec.recipe.optimizers import OPTIMIZERS, Sgd
from netspec.recipe.parts import Part
from netspec.recipe.schedules import (
    SCHEDULES,
    Constant,
    Cosine,
    Inv,
    Moment,
    Multistep,
    Plateau,
    Poly,
    Schedule,
    Step,
)

ALEXNET = {
    "data": Call("imagenet"),
    "resize": 256,
    "crop": 227,
    "augment": [Call("flip"), Call("lighting", (0.1,))],
    "normalize": Call("mean"),
    "batch": 128,
    "epochs": 90,
    "optimizer": Call("sgd", (), {"lr": 0.01, "momentum": 0.9, "weight_decay": 5e-4}),
    "schedule": Call("plateau", (), {"factor": 0.1, "drops": 3}),
    "evaluate": Call("ten_crop"),
}

FAULTS = {
    "unknown key": (
        {"epoch": 3},
        Fault("epoch", "a recipe has no entry named epoch", "did you mean epochs?"),
    ),
    "unknown optimizer": (
        {"optimizer": Call("sdg", (), {"lr": 0.1})},
        Fault("optimizer", "optimizer has no choice named sdg", "did you mean sgd?"),
    ),
    "unknown schedule": (
        {"schedule": Call("zzz")},
        Fault(
            "schedule",
            "schedule has no choice named zzz",
            "expected one of constant, plateau, step, multistep, exponential, inv, poly, cosine, onecycle",
        ),
    ),
    "unknown argument": (
        {"optimizer": Call("sgd", (), {"lr": 0.1, "momentun": 0.9})},
        Fault("optimizer", "sgd has no argument named momentun", "did you mean momentum?"),
    ),
    "argument of none": (
        {"normalize": Call("mean_image", (), {"p": 0.5})},
        Fault("normalize", "mean_image has no argument named p", "write mean_image without arguments"),
    ),
    "too many arguments": (
        {"normalize": Call("scale", (1.0, 2.0))},
        Fault("normalize", "scale takes at most 1 argument, not 2"),
    ),
    "given twice": (
        {"optimizer": Call("sgd", (0.1,), {"lr": 0.1})},
        Fault("optimizer", "lr of sgd is given twice"),
    ),
    "missing argument": ({"optimizer": Call("sgd")}, Fault("optimizer", "lr of sgd is missing")),
    "too few values": (
        {"optimizer": Call("adam", (), {"lr": 1, "betas": (0.9,)})},
        Fault("optimizer", "betas of adam has too few values"),
    ),
    "too many values": (
        {"optimizer": Call("adam", (), {"lr": 1, "betas": (0.9, 0.9, 0.9)})},
        Fault("optimizer", "betas of adam has too many values"),
    ),
    "out of range": (
        {"optimizer": Call("sgd", (-0.1,))},
        Fault("optimizer", "lr of sgd must be above 0, found -0.1"),
    ),
    "momentum of one": (
        {"optimizer": Call("sgd", (0.1, 1.0))},
        Fault("optimizer", "momentum of sgd must be below 1, found 1"),
    ),
    "infinite": (
        {"optimizer": Call("sgd", (math.inf,))},
        Fault("optimizer", "lr of sgd must be a finite number, found inf"),
    ),
    "text for a number": ({"batch": "64"}, Fault("batch", 'batch must be a whole number, found "64"')),
    "fraction of a batch": ({"batch": 0.5}, Fault("batch", "batch must be a whole number, found 0.5")),
    "truth for a number": ({"epochs": True}, Fault("epochs", "epochs must be a whole number, found true")),
    "no epochs": ({"epochs": 0}, Fault("epochs", "epochs must be above 0, found 0")),
    "number for a name": (
        {"schedule": 3},
        Fault(
            "schedule",
            "schedule takes a name, not 3",
            "expected one of constant, plateau, step, multistep, exponential, inv, poly, cosine, onecycle",
        ),
    ),
    "call for a number": (
        {"batch": Call("auto", (3,))},
        Fault("batch", "batch takes a plain value, not auto(3)"),
    ),
    "unknown evaluation": (
        {"evaluate": Call("two_crop")},
        Fault("evaluate", "evaluate must be 'center_crop' or 'ten_crop', found \"two_crop\""),
    ),
    "crop larger than the image": (
        {"resize": 100, "crop": 227},
        Fault(
            "crop", "a crop of 227 pixels does not fit into images resized to 100", "resize to at least 227"
        ),
    ),
}

# Rates by hand for 10 epochs of 100 steps: schedule, steps done, expected share of the base rate.
RATES: list[tuple[Schedule, int, float]] = [
    (Constant(), 500, 1.0),
    (Step(size=3, factor=0.5), 299, 1.0),
    (Step(size=3, factor=0.5), 300, 0.5),
    (Step(size=3, factor=0.5), 999, 0.125),
    (Multistep(milestones=(2, 4)), 199, 1.0),
    (Multistep(milestones=(2, 4)), 200, 0.1),
    (Multistep(milestones=(2, 4)), 400, 0.01),
    (Inv(gamma=1e-4, power=0.75), 0, 1.0),
    (Inv(gamma=1e-4, power=0.75), 10_000, 2**-0.75),
    (Poly(power=2.0), 500, 0.25),
    (Poly(), 1000, 0.0),
    (Cosine(), 500, 0.5),
    (Cosine(warmup=1.0), 0, 1 / 101),
    (Cosine(warmup=1.0), 100, 1.0),
    (Cosine(warmup=1.0), 1000, 0.0),
]


def test_the_recipe_of_the_alexnet_paper_is_read() -> None:
    assert read(ALEXNET) == Recipe(
        data="imagenet",
        resize=256,
        crop=227,
        augment=(Flip(), Lighting(sigma=0.1)),
        normalize=Mean(),
        batch=128,
        epochs=90,
        optimizer=Sgd(lr=0.01, momentum=0.9, weight_decay=5e-4),
        schedule=Plateau(factor=0.1, drops=3),
        evaluate="ten_crop",
    )


def test_an_empty_section_is_a_recipe() -> None:
    assert read({}) == Recipe()


@pytest.mark.parametrize(("entries", "fault"), FAULTS.values(), ids=FAULTS)
def test_an_invalid_entry_gives_one_fault(entries: dict[str, object], fault: Fault) -> None:
    with pytest.raises(RecipeError) as caught:
        read(entries)
    assert caught.value.faults == (fault,)


def test_all_faults_are_reported_together() -> None:
    with pytest.raises(RecipeError) as caught:
        read({"epoch": 3, "batch": 0, "optimizer": Call("sgd", (0.0, -1.0)), "schedule": Call("stop")})
    assert [fault.key for fault in caught.value.faults] == [
        "epoch",
        "optimizer",
        "optimizer",
        "schedule",
        "batch",
    ]


@pytest.mark.parametrize(("schedule", "step", "share"), RATES, ids=lambda value: str(value))
def test_schedules(schedule: Schedule, step: int, share: float) -> None:
    assert schedule.scale(Moment(step, 100, 10)) == pytest.approx(share, abs=1e-12)


def test_a_plateau_scales_the_rate_with_each_drop() -> None:
    assert Plateau(factor=0.1).scale(Moment(0, 100, 10, drops=2)) == pytest.approx(0.01)


def test_a_list_is_read_as_milestones() -> None:
    assert read({"schedule": Call("multistep", ([30, 60],))}).schedule == Multistep(milestones=(30, 60))


@pytest.mark.parametrize("entry", [Call("none"), None, []], ids=["none", "the value none", "empty list"])
def test_no_augmentation(entry: object) -> None:
    assert read({"augment": entry}).augment == ()


def test_overrides_replace_only_the_given_entries() -> None:
    changed = read(ALEXNET).with_overrides(epochs=1, lr=0.5)
    assert (changed.epochs, changed.batch, changed.optimizer.lr) == (1, 128, 0.5)
    assert changed.optimizer.momentum == 0.9


def test_overrides_report_all_faults() -> None:
    with pytest.raises(RecipeError) as caught:
        Recipe().with_overrides(batch=0, lr=-1.0)
    assert [fault.message for fault in caught.value.faults] == [
        "lr of sgd must be above 0, found -1",
        "batch must be above 0, found 0",
    ]


@pytest.mark.parametrize(("momentum", "floats"), [(0.9, 1), (0.0, 0)])
def test_state_per_parameter(momentum: float, floats: int) -> None:
    assert Sgd(lr=0.1, momentum=momentum).state_per_parameter == floats


def test_a_saved_recipe_can_be_read_again() -> None:
    recipe = read(ALEXNET | {"schedule": Call("multistep", ([3],))})
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe


def test_a_recipe_is_immutable() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Recipe().batch = 3


def bounded(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> bool:
    """Whether a JSON schema bounds every number, list and text in it from above."""
    if "$ref" in schema:
        return bounded(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    alternatives = [*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("prefixItems", ())]
    if not all(bounded(each, definitions) for each in alternatives):
        return False
    match schema.get("type"):
        case "number" | "integer":
            return "maximum" in schema or "exclusiveMaximum" in schema
        case "array":
            items = schema.get("items")
            return "maxItems" in schema and (not items or bounded(items, definitions))
        case "object":
            return all(bounded(each, definitions) for each in schema["properties"].values())
    return True


REGISTRIES = (OPTIMIZERS, SCHEDULES, LOSSES, AUGMENTATIONS, NORMALIZATIONS, INITIALIZERS)
KINDS: list[type[Part]] = [Recipe, *(part for registry in REGISTRIES for part in registry.values())]


@pytest.mark.parametrize("part", KINDS, ids=lambda part: part.__name__)
def test_every_number_of_a_recipe_has_an_upper_bound(part):
    schema = part.model_json_schema()
    definitions = schema.get("$defs", {})
    for name, field in schema["properties"].items():
        assert bounded(field, definitions), f"{part.__name__}.{name} has no upper bound"


TOO_LARGE = {
    "crop": {"augment": Call("crop", (), {"padding": 100_000})},
    "rand_augment": {"augment": Call("rand_augment", (), {"ops": 100_000})},
    "resize": {"resize": 40_000},
    "batch": {"batch": 10**20},
    "epochs": {"epochs": 10**20},
    "milestones": {"schedule": Call("multistep", ([float(k + 1) for k in range(5000)],))},
    "rate": {"optimizer": Call("adam", (), {"lr": 1e30})},
    "warmup": {"schedule": Call("cosine", (), {"warmup": 1e18})},
}


@pytest.mark.parametrize("entries", TOO_LARGE.values(), ids=TOO_LARGE)
def test_values_too_large_are_faults(entries):
    with pytest.raises(RecipeError) as caught:
        read(entries)
    assert len(caught.value.faults) == 1
    assert re.search(r"must be at most [\d,]+, found|has too many values", caught.value.faults[0].message)
