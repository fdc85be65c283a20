"""Published weights: fetched and kept by torchvision, and loaded strictly into a module of ours."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from http.client import HTTPException
from pickle import UnpicklingError
from typing import Any
from urllib.error import HTTPError, URLError

import torch
from torch import nn
from torchvision import models

from netspec.diagnostics import did_you_mean
from netspec.errors import WeightsError
from netspec.zoo import Card

TROUBLE = (OSError, HTTPException, RuntimeError, UnpicklingError, EOFError)
"""What fetching and reading a file can raise; a wrong hash is a RuntimeError."""

OLD_DENSENET = re.compile(
    r"(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\.(?:weight|bias|running_mean|running_var))"
)
"""Names in DenseNet's files, `norm.1` for what is `norm1` now, as torchvision's own builder mends them."""


OLD_MLP = re.compile(r"(.*\.mlp)\.linear_([12])\.(weight|bias)")
"""Names in older files of vision transformers, `mlp.linear_1` for what is `mlp.0` now, and 2 for 3."""


def load_weights(module: nn.Module, card: Card | None, name: str) -> None:
    """Load the published weights `name`, or `DEFAULT`, into a module built from the card's spec.

    Raises:
        WeightsError: there are no such weights, they cannot be fetched, or they are for other shapes.
    """
    name = getattr(name, "name", name)  # torchvision's own entries are taken too
    if not isinstance(name, str):
        raise WeightsError(f"weights go by their names, such as DEFAULT, not by {name!r}")
    if card is None:
        raise WeightsError(
            "published weights belong to networks of the zoo, and this one was loaded from a file: "
            'load it by its name, as in netspec.load("resnet50")'
        )
    entry = find(card, name)
    state = fetch(card, entry)
    mend(state)
    refuse_unfit(module, state, f"the weights {entry.name} of {card.name}", images(card, entry.name))
    module.load_state_dict(state, strict=True)
    keep_version(module, state)


def find(card: Card, name: str) -> Any:
    """torchvision's entry for the weights `name`, which knows their address and their hash."""
    if card.torchvision is None:
        raise WeightsError(f"no weights are published for {card.name}")
    try:
        entries = models.get_model_weights(card.torchvision).__members__
    except ValueError:
        message = f"torchvision {version()} has no weights for {card.name}: a newer one may"
        raise WeightsError(message) from None
    if name not in entries:
        near = did_you_mean(name, entries) or f"there are {', '.join(entries)}"
        raise WeightsError(f"{card.name} has no weights `{name}`: {near}")
    return entries[name]


def version() -> str:
    import torchvision

    return str(torchvision.__version__)


def fetch(card: Card, entry: Any) -> dict[str, torch.Tensor]:
    """Get a state_dict from torchvision's cache, or from the net at first."""
    try:
        state: dict[str, torch.Tensor] = entry.get_state_dict(
            progress=sys.stderr.isatty(), check_hash=True, map_location="cpu"
        )
    except TROUBLE as error:
        message = f"the weights {entry.name} of {card.name} could not be loaded from {entry.url}"
        raise WeightsError(f"{message}: {reason(error)}") from error
    return state


def reason(error: BaseException) -> str:
    """Why fetching failed, in words.

    >>> reason(URLError("no route to host"))
    'no route to host; is there a network connection?'
    """
    if isinstance(error, HTTPError):
        return f"the server answers {error.code} {error.reason}"
    if isinstance(error, URLError):
        return f"{error.reason}; is there a network connection?"
    return str(getattr(error, "strerror", None) or error).splitlines()[0]


def mend(state: dict[str, torch.Tensor]) -> None:
    """Give old names their new form, in place, since a state_dict carries the versions of its modules."""
    for key in list(state):
        if match := OLD_DENSENET.fullmatch(key):
            state[match[1] + match[2]] = state.pop(key)
        if match := OLD_MLP.fullmatch(key):
            state[f"{match[1]}.{3 * int(match[2]) - 3}.{match[3]}"] = state.pop(key)


def images(card: Card, name: str) -> str:
    """What images some weights are for, where those are not the card's own."""
    sides = [r.evaluation.crop for r in card.results if r.weights == name]
    return f"; they are for images of {sides[0]}x{sides[0]}" if sides and sides != [card.side] else ""


def refuse_unfit(module: nn.Module, state: Mapping[str, torch.Tensor], what: str, more: str = "") -> None:
    """Refuse weights whose names, shapes or kinds of number are not the module's, and say which."""
    here = module.state_dict()
    for key, value in state.items():
        if key in here and here[key].shape != value.shape:
            how = f"{key} is {size(here[key])} here and {size(value)} there"
            raise WeightsError(f"{what} do not fit this network: {how}{more}")
    missing = [k for k in here if k not in state and not k.endswith("num_batches_tracked")]
    if missing:  # old files have no num_batches_tracked, which batch norm itself puts in
        raise WeightsError(f"{what} do not fit this network: they have no {missing[0]}")
    if unknown := [k for k in state if k not in here]:
        raise WeightsError(f"{what} do not fit this network: it has no {unknown[0]}")
    if odd := [key for key, value in state.items() if not whole(value, here[key])]:
        raise WeightsError(f"{what} are damaged: {odd[0]} holds numbers of another kind, or too few")


def whole(tensor: torch.Tensor, expected: torch.Tensor) -> bool:
    """Whether a tensor is a plain one, of such numbers, with each of them in the file."""
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.device.type != "cpu":
        return False
    alike = tensor.is_floating_point() == expected.is_floating_point() and not tensor.is_complex()
    return alike and tensor.untyped_storage().nbytes() >= tensor.numel() * tensor.element_size()


def size(tensor: torch.Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "one number"


def keep_version(module: nn.Module, state: object) -> None:
    """Keep the version that a file gives its network: torchvision's MNASNet reads it to know its own stem."""
    told = getattr(state, "_metadata", {}).get("", {}).get("version")
    if told not in (None, module._version):
        module._version = told
