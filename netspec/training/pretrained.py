"""Starting a run from weights that were trained before: published ones, those of a run, or a file."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from torch import Tensor, nn

from netspec.build.weights import check_state, fetch, find, rename_old_keys
from netspec.checkpoint.store import BEST, CHECKPOINT, load
from netspec.errors import TrainError, WeightsError
from netspec.graph import Net
from netspec.library import locate
from netspec.recipe import Recipe
from netspec.recipe.images import ImageNet
from netspec.transforms.normalize import IMAGENET_MEAN

PUBLISHED = re.compile(r"[A-Z][A-Z0-9_]*")
logger = logging.getLogger(__name__)


def load_initial_weights(weights: str, spec: str, net: Net, module: nn.Module, recipe: Recipe) -> list[str]:
    """Load weights into a module that is about to be trained, and return warnings.

    `weights` is a name on the card of `spec`, the folder of a run, or a file with a state_dict. Tensors of
    the last layers that are for another number of classes are left newly initialised; all others must match
    by name and shape.

    Raises:
        TrainError: there are no such weights, they cannot be read or downloaded, or they do not match.
    """
    if not weights:
        raise TrainError("`weights` is empty: leave it out to train from scratch", wrong_use=True)
    published = PUBLISHED.fullmatch(weights) and not Path(weights).exists()
    outputs = {net.nodes[output.node].shape.features for output in net.outputs}
    own = module.state_dict()
    try:
        state, warnings = _published(weights, spec, recipe) if published else (_read(Path(weights)), [])
        new = [k for k, value in state.items() if k in own and _differs_in_classes(own[k], value, outputs)]
        state = {**state, **{name: own[name] for name in new}}
        check_state(module, state, f"the weights {weights}")
    except WeightsError as error:
        raise TrainError(str(error)) from error
    bad = [k for k, value in state.items() if value.is_floating_point() and not value.isfinite().all()]
    if bad:
        raise TrainError(f"the weights {weights} contain values that are not finite, in {bad[0]}")
    module.load_state_dict(state, strict=False)  # old files lack num_batches_tracked, and nothing else
    note = f"; {' and '.join(new)} are newly initialised, for {min(outputs)} classes" if new else ""
    logger.info("training starts from the weights %s%s", weights, note)
    return warnings


def _differs_in_classes(own: Tensor, other: Tensor, outputs: set[int]) -> bool:
    """Whether two tensors differ only in the number of classes, their first dimension."""
    if own.shape == other.shape or own.dim() != other.dim() or not own.dim():
        return False
    return own.shape[1:] == other.shape[1:] and own.shape[0] in outputs


def _published(weights: str, spec: str, recipe: Recipe) -> tuple[dict[str, Tensor], list[str]]:
    """Published weights, and a warning when the recipe normalises images differently."""
    card = locate(spec).card
    if card is None:
        message = f"{spec} is not a network of the zoo, and only those have published weights"
        raise TrainError(f"{message}: name a run or a file with `weights`", wrong_use=True)
    entry = find(card, weights)
    state = fetch(card, entry)
    rename_old_keys(state)
    means = [r.evaluation.mean for r in card.results if r.weights == entry.name]
    if IMAGENET_MEAN not in means or isinstance(recipe.normalize, ImageNet):
        return state, []
    message = f"the weights {weights} expect images normalised by the mean and deviation of ImageNet"
    return state, [f"{message}, and the recipe normalises differently: set `train.normalize=imagenet`"]


def _read(path: Path) -> dict[str, Tensor]:
    """The state_dict in a file, or the best one in the folder of a run."""
    if path.is_dir():
        path = path / BEST if (path / BEST).is_file() else path / CHECKPOINT
    content = load(path)
    state = next((content[key] for key in ("model", "state_dict") if key in content), content)
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise TrainError(f"{path} holds no weights: name a state_dict, or the folder of a run")
    return state
