"""Networks to judge, by the name that the user gives: a checkpoint, a run, or published weights."""

from __future__ import annotations

from pathlib import Path

from netspec import zoo
from netspec.build.compile import build
from netspec.build.weights import find, load_weights
from netspec.checker import check_file
from netspec.errors import TrainError, WeightsError
from netspec.evaluation.load import Saved, open_saved
from netspec.library import locate
from netspec.recipe import Recipe
from netspec.shape import Shape
from netspec.transforms.preprocessing import Preprocessing


def open_network(name: str, weights: str | None, *, ema: bool = False) -> Saved:
    """Open a checkpoint or the folder of a run; with `weights`, a network of the zoo by its name.

    Raises:
        TrainError: there is no such file, it does not hold together, or no such weights are published.
    """
    if weights is not None:
        if ema:
            raise TrainError("published weights have no averaged ones: leave --ema out", wrong_use=True)
        return published(name, weights)
    if not Path(name).exists():
        known = name in zoo.names()
        way = f"say which published weights with --weights, as `netspec zoo show {name}` lists them"
        raise TrainError(
            f"there is no checkpoint {name}" + (f"; of the zoo's network, {way}" if known else "")
        )
    return open_saved(Path(name), ema=ema)


def published(name: str, weights: str) -> Saved:
    """A network of the zoo with the weights that torchvision publishes, for images as its card says."""
    found = locate(name)
    if found.card is None:
        message = f"{name} is no network of the zoo, and only those have published weights"
        raise TrainError(f"{message}: leave --weights out for a checkpoint", wrong_use=True)
    looks = _looks(found.card, weights)
    shape = (3, looks.crop, looks.crop)
    net = check_file(found.path, found.arguments, {"": Shape(shape)}).require()
    module = build(net)
    try:
        load_weights(module, found.card, weights)
    except WeightsError as error:
        raise TrainError(str(error)) from error
    return Saved(
        path=Path(name),
        weights=weights,
        net=net,
        module=module.eval(),
        recipe=Recipe(resize=looks.resize, crop=looks.crop, batch=32),
        class_names=tuple(find(found.card, weights).meta["categories"]),
        known_classes=0,
        preprocessing=preprocessing(looks),
        input_shape=shape,
        data="imagenet",
        root=None,
        val_share=0.2,
    )


def preprocessing(looks: zoo.Evaluation) -> Preprocessing:
    """What a card says of images, for pixels of 0 to 255."""
    return Preprocessing(
        tuple(255 * m for m in looks.mean or ()),
        tuple(1 / (255 * s) for s in looks.std or ()),
        resize=looks.resize,
        crop=(looks.crop, looks.crop),
        interpolation=looks.interpolation,
    )


def _looks(card: zoo.Card, weights: str) -> zoo.Evaluation:
    """How published weights want their images; raises TrainError where the card does not say."""
    try:
        find(card, weights)
    except WeightsError as error:
        raise TrainError(str(error)) from error
    looks = next((r.evaluation for r in card.results if r.weights == weights), None)
    if looks is None or looks.mean is None or looks.std is None:
        message = f"the card of {card.name} does not say how the weights {weights} want their images"
        raise TrainError(f"{message}: name the weights as `netspec zoo show {card.name}` does")
    return looks
