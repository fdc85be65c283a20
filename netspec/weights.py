"""Loads published weights by name, and initial weights from a run or a file."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterable, Mapping
from http.client import HTTPException
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from urllib.error import HTTPError, URLError

import torch
from torch import Tensor, nn
from torchvision import models

from netspec.checkpoint import CHECKPOINT, best_weights, load
from netspec.diagnostics import did_you_mean
from netspec.errors import TrainError, WeightsError
from netspec.graph import Net
from netspec.library import locate
from netspec.recipe import Recipe
from netspec.recipe.images import ImageNet
from netspec.transforms.normalize import IMAGENET_MEAN
from netspec.zoo import Card

PUBLISHED = re.compile(r"[A-Z][A-Z0-9_]*")
"""A name of published weights, such as `IMAGENET1K_V1`."""
logger = logging.getLogger(__name__)

DOWNLOAD_ERRORS = (OSError, HTTPException, RuntimeError, UnpicklingError, EOFError)
"""The exceptions raised by downloading and reading a file; a wrong hash raises RuntimeError."""

OLD_DENSENET = re.compile(
    r"(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\.(?:weight|bias|running_mean|running_var))"
)
"""Old names in DenseNet's files: `norm.1` is now `norm1`. torchvision's builder renames them too."""

OLD_MLP = re.compile(r"(.*\.mlp)\.linear_([12])\.(weight|bias)")
"""Old names in files of vision transformers: `mlp.linear_1` is now `mlp.0`, `linear_2` is `mlp.3`."""


def load_weights(module: nn.Module, card: Card | None, weights: str | Path | Mapping[str, Any]) -> None:
    """Load weights into a module: published weights by name, the weights in a file or run, or a state_dict.

    Raises:
        WeightsError: there are no such weights, they cannot be downloaded, or they do not match.
    """
    weights = getattr(weights, "name", weights) if not isinstance(weights, Path) else weights
    named = isinstance(weights, str) and Path(weights).name == Path(weights).stem == weights
    if isinstance(weights, str) and named and not Path(weights).exists():
        load_published(module, card, weights)
        return
    if isinstance(weights, Mapping):
        state, what = dict(weights), "the given weights"
    elif isinstance(weights, str | Path):
        what = f"the weights {weights}"
        try:
            state = _read(Path(weights))
        except TrainError as error:
            raise WeightsError(str(error)) from error
    else:
        raise WeightsError(f"weights are a name such as DEFAULT, a file or a state_dict, not {weights!r}")
    state = unwrapped(state, module.state_dict(), what)
    check_state(module, state, what)
    module.load_state_dict(state, strict=False)  # only num_batches_tracked can be missing, in old files


def unwrapped(state: dict[str, Tensor], own: Mapping[str, Tensor], what: str) -> dict[str, Tensor]:
    """Return a state_dict without a wrapper's prefix, if all its names start with one that `own` lacks."""
    if state.keys() & own.keys() or not (prefix := wrapper_prefix(state)):
        return state
    logger.info("the names of %s start with `%s`, which was removed", what, prefix)
    return {name.removeprefix(prefix): value for name, value in state.items()}


def load_published(module: nn.Module, card: Card | None, name: str) -> None:
    """Load the published weights `name` (or `DEFAULT`) into a module built from the card's spec."""
    if card is None:
        raise WeightsError(
            "only zoo networks have published weights, and this network was loaded from a file: "
            'load it by its name, as in netspec.load("resnet50")'
        )
    entry = find(card, name)
    state = fetch(card, entry)
    rename_old_keys(state)
    check_state(module, state, f"the weights {entry.name} of {card.name}", _image_size(card, entry.name))
    module.load_state_dict(state, strict=True)
    copy_version(module, state)


def find(card: Card, name: str) -> Any:
    """Return torchvision's entry for the weights `name`. It holds their URL and hash.

    Raises:
        WeightsError: there are no such weights.
    """
    if card.torchvision is None:
        raise WeightsError(f"no weights are published for {card.name}")
    try:
        entries = models.get_model_weights(card.torchvision).__members__
    except ValueError:
        import torchvision

        message = f"torchvision {torchvision.__version__} has no weights for {card.name}"
        raise WeightsError(f"{message}: a newer version may have them") from None
    if name not in entries:
        suggestion = did_you_mean(name, entries) or f"available are {', '.join(entries)}"
        raise WeightsError(f"{card.name} has no weights `{name}`: {suggestion}")
    return entries[name]


def fetch(card: Card, entry: Any) -> dict[str, torch.Tensor]:
    """Return a state_dict from torchvision's cache; on first use, it is downloaded.

    Raises:
        WeightsError: the download failed, or the file is damaged.
    """
    try:
        state: dict[str, torch.Tensor] = entry.get_state_dict(
            progress=sys.stderr.isatty(), check_hash=True, map_location="cpu"
        )
    except DOWNLOAD_ERRORS as error:
        message = f"the weights {entry.name} of {card.name} could not be loaded from {entry.url}"
        raise WeightsError(f"{message}: {download_error(error)}") from error
    return state


def download_error(error: BaseException) -> str:
    """Return the reason for a failed download.

    >>> download_error(URLError("no route to host"))
    'no route to host; is there a network connection?'
    """
    if isinstance(error, HTTPError):
        return f"the server answered {error.code} {error.reason}"
    if isinstance(error, URLError):
        return f"{error.reason}; is there a network connection?"
    return str(getattr(error, "strerror", None) or error).splitlines()[0]


def rename_old_keys(state: dict[str, torch.Tensor]) -> None:
    """Rename the tensors of old files. `state` is changed in place, which preserves its metadata."""
    for key in list(state):
        if match := OLD_DENSENET.fullmatch(key):
            state[match[1] + match[2]] = state.pop(key)
        if match := OLD_MLP.fullmatch(key):
            state[f"{match[1]}.{3 * int(match[2]) - 3}.{match[3]}"] = state.pop(key)


def check_state(module: nn.Module, state: Mapping[str, torch.Tensor], what: str, hint: str = "") -> None:
    """Check that weights match a module in names, shapes and dtypes.

    `what` names the weights in errors, and `hint` is appended to errors about shapes. `num_batches_tracked`
    may be missing, as in old files; batch norm then starts counting at 0.

    Raises:
        WeightsError: the weights do not match; the message names the first mismatch.
    """
    own = module.state_dict()
    for key, value in state.items():
        if key in own and own[key].shape != value.shape:
            raise WeightsError(
                f"{what} do not match this network: {key} is {_size(value)}, expected {_size(own[key])}{hint}"
            )
    missing = [k for k in own if k not in state and not k.endswith("num_batches_tracked")]
    if missing:
        raise WeightsError(f"{what} do not match this network: they have no {missing[0]}")
    if unknown := [k for k in state if k not in own]:
        raise WeightsError(f"{what} do not match this network: it has no {unknown[0]}")
    if damaged := [key for key, value in state.items() if not _is_complete(value, own[key])]:
        raise WeightsError(f"{what} are damaged: {damaged[0]} has the wrong dtype or missing data")


def copy_version(module: nn.Module, state: object) -> None:
    """Copy a state_dict's version to a module; in MNASNet, it decides the number of channels of the stem."""
    version = getattr(state, "_metadata", {}).get("", {}).get("version")
    if version not in (None, module._version):
        module._version = version


def _image_size(card: Card, name: str) -> str:
    """Return a note with the image size of the weights, or "" if it is the card's image size."""
    sides = [r.evaluation.crop for r in card.results if r.weights == name]
    return f"; they are for images of {sides[0]}x{sides[0]}" if sides and sides != [card.side] else ""


def _is_complete(tensor: torch.Tensor, expected: torch.Tensor) -> bool:
    """Return True if a tensor is dense, has the expected dtype, and its storage holds all elements."""
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.device.type != "cpu":
        return False
    same_type = tensor.is_floating_point() == expected.is_floating_point() and not tensor.is_complex()
    return same_type and tensor.untyped_storage().nbytes() >= tensor.numel() * tensor.element_size()


def _size(tensor: torch.Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a scalar"


def load_initial_weights(weights: str, spec: str, net: Net, module: nn.Module, recipe: Recipe) -> list[str]:
    """Load the initial weights of a training run into a module and return warnings.

    `weights` is a name on the card of `spec`, the folder of a run, or a file with a state_dict. If the last
    layers were trained for another number of classes, they keep their random initialization; all other
    tensors must match in name and shape.

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
        state = unwrapped(state, own, f"the weights {weights}")
        new = [k for k, value in own.items() if k in state and _differs_in_classes(value, state[k], outputs)]
        state = {**state, **{name: own[name] for name in new}}
        check_state(module, state, f"the weights {weights}")
    except WeightsError as error:
        raise TrainError(str(error)) from error
    bad = [k for k, value in state.items() if value.is_floating_point() and not value.isfinite().all()]
    if bad:
        raise TrainError(f"the weights {weights} contain values that are not finite, in {bad[0]}")
    module.load_state_dict(state, strict=False)  # only num_batches_tracked can be missing, in old files
    note = f"; {' and '.join(new)} are newly initialized, for {min(outputs)} classes" if new else ""
    logger.info("training starts from the weights %s%s", weights, note)
    return warnings


def _differs_in_classes(own: Tensor, other: Tensor, outputs: set[int]) -> bool:
    """Return True if two tensors differ only in their first dimension, the number of classes."""
    if own.shape == other.shape or own.dim() != other.dim() or not own.dim():
        return False
    return own.shape[1:] == other.shape[1:] and own.shape[0] in outputs


def _published(weights: str, spec: str, recipe: Recipe) -> tuple[dict[str, Tensor], list[str]]:
    """Return published weights, and a warning (in a list) if the recipe normalizes images differently."""
    card = locate(spec).card
    if card is None:
        message = f"{spec} is not a zoo network, and only zoo networks have published weights"
        raise TrainError(f"{message}: name a run or a file with `weights`", wrong_use=True)
    entry = find(card, weights)
    state = fetch(card, entry)
    rename_old_keys(state)
    means = [r.evaluation.mean for r in card.results if r.weights == entry.name]
    if IMAGENET_MEAN not in means or isinstance(recipe.normalize, ImageNet):
        return state, []
    message = f"the weights {weights} expect images normalized with ImageNet's mean and standard deviation"
    return state, [f"{message}, but the recipe normalizes differently: set `train.normalize=imagenet`"]


def _read(path: Path) -> dict[str, Tensor]:
    """Return the state_dict in a file, or the best weights in the folder of a run."""
    if path.is_dir():
        path = best_weights(path) or path / CHECKPOINT
    content = load(path)
    key = next((key for key in STATE_KEYS if isinstance(content.get(key), dict)), None)
    state = content if key is None else content[key]
    if not state or not all(isinstance(k, str) and isinstance(v, Tensor) for k, v in state.items()):
        raise TrainError(f"{path} contains no weights: name a state_dict, or the folder of a run")
    return state


STATE_KEYS = ("model", "state_dict", "model_state_dict", "net", "network", "weights")
"""The keys under which training scripts save a state_dict."""
WRAPPERS = ("module.", "model.", "_orig_mod.", "net.")
"""The prefixes that DataParallel, Lightning, `torch.compile` and training scripts put before every name."""


def wrapper_prefix(names: Iterable[str]) -> str:
    """Return the wrappers' prefixes that all names share, joined, or "" if there are none.

    >>> wrapper_prefix(["module._orig_mod.fc.weight", "module._orig_mod.fc.bias"])
    'module._orig_mod.'
    """
    names, prefix = list(names), ""
    while names and (found := [w for w in WRAPPERS if all(n.startswith(prefix + w) for n in names)]):
        prefix += found[0]
    return prefix
