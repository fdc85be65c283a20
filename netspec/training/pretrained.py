"""Training that starts from weights trained before: published ones, or those of a run or a file."""

from __future__ import annotations

import re
from pathlib import Path

from torch import Tensor, nn

from netspec.build.weights import fetch, find, mend, refuse_unfit
from netspec.checkpoint.store import load
from netspec.errors import TrainError, WeightsError
from netspec.evaluation.load import BEST, CHECKPOINT
from netspec.graph import Net
from netspec.library import locate
from netspec.recipe import Recipe
from netspec.recipe.images import ImageNet
from netspec.transforms.normalize import IMAGENET_MEAN

PUBLISHED = re.compile(r"[A-Z][A-Z0-9_]*")


def start_from(weights: str, spec: str, net: Net, module: nn.Module, recipe: Recipe) -> list[str]:
    """Load weights into a module, and give what the user should know of it, a sentence each.

    `weights` is a name that the card of `spec` has, the folder of a run, or a file with a state_dict. Tensors
    for other classes than the network's, which its last layers have, keep their fresh start; all others must
    fit by name and shape.

    Raises:
        TrainError: there are no such weights, they cannot be read or fetched, or do not fit.
    """
    if not weights:
        raise TrainError("--weights names nothing: leave it out to start afresh", wrong_use=True)
    published = PUBLISHED.fullmatch(weights) and not Path(weights).exists()
    outputs = {net.nodes[output.node].shape.features for output in net.outputs}
    here = module.state_dict()
    try:
        state, doubts = _published(weights, spec, recipe) if published else (_read(Path(weights)), [])
        anew = [k for k, value in state.items() if k in here and _of_classes(here[k], value, outputs)]
        state = {**state, **{name: here[name] for name in anew}}
        refuse_unfit(module, state, f"the weights {weights}")
    except WeightsError as error:
        raise TrainError(str(error)) from error
    if odd := [k for k, value in state.items() if value.is_floating_point() and not value.isfinite().all()]:
        raise TrainError(f"the weights {weights} hold values that are no numbers, in {odd[0]}")
    module.load_state_dict(state, strict=False)  # old files lack num_batches_tracked, and nothing else
    fresh = f"; {' and '.join(anew)} start anew, for {min(outputs)} classes" if anew else ""
    return [f"training starts from the weights {weights}{fresh}", *doubts]


def _of_classes(here: Tensor, there: Tensor, outputs: set[int]) -> bool:
    """Whether two tensors differ in the classes that they are for, and in nothing else."""
    if here.shape == there.shape or here.dim() != there.dim() or not here.dim():
        return False
    return here.shape[1:] == there.shape[1:] and here.shape[0] in outputs


def _published(weights: str, spec: str, recipe: Recipe) -> tuple[dict[str, Tensor], list[str]]:
    """Published weights, and a warning where the recipe's images are not like theirs."""
    card = locate(spec).card
    if card is None:
        message = f"{spec} is no network of the zoo, and only those have published weights"
        raise TrainError(f"{message}: name a run or a file with --weights", wrong_use=True)
    entry = find(card, weights)
    state = fetch(card, entry)
    mend(state)
    means = [r.evaluation.mean for r in card.results if r.weights == entry.name]
    if IMAGENET_MEAN not in means or isinstance(recipe.normalize, ImageNet):
        return state, []
    want = (
        f"warning: the weights {weights} were trained on images normalised by ImageNet's mean and deviation"
    )
    return state, [f"{want}, and the recipe does otherwise: --set train.normalize=imagenet"]


def _read(path: Path) -> dict[str, Tensor]:
    """The state_dict in a file, or the best one in the folder of a run."""
    if path.is_dir():
        path = path / BEST if (path / BEST).is_file() else path / CHECKPOINT
    content = load(path)
    state = next((content[key] for key in ("model", "state_dict") if key in content), content)
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise TrainError(f"{path} holds no weights: name a state_dict, or the folder of a run")
    return state
