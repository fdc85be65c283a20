"""The network that a checkpoint carries: the text of its spec and its recipe, as plain values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from netspec.checker import Report, check_source
from netspec.diagnostics import Source
from netspec.errors import TrainError
from netspec.graph import Net
from netspec.language.values import kind_of
from netspec.recipe import Recipe
from netspec.shape import Shape

T = TypeVar("T")
MAX_SPEC = 2 * 2**20
"""Characters of a spec, the same limit as for files."""
MAX_MESSAGE = 300
"""Characters of a diagnostic that are repeated in an error."""


def describe(
    report: Report, spec: str, *, root: Path | None = None, val_share: float | None = None
) -> dict[str, object]:
    """Everything that `restore` needs to rebuild a network without its files, as plain values.

    `spec` is the path or name that the user gave. `root` and `val_share` record where the images are and
    what fraction is held out, so that evaluation uses the same images.

    Raises:
        TrainError: a parameter has a value that a checkpoint cannot hold.
    """
    folder = Path(report.source.path).parent
    return {
        "path": spec,
        "spec": report.source.text,
        "used": {Path(s.path).relative_to(folder).as_posix(): s.text for s in report.used},
        "arguments": {name: plain(name, value) for name, value in report.arguments.items()},
        "inputs": {name: list(shape) for name, shape in report.inputs.items()},
        "root": None if root is None else str(root),
        "val_share": val_share,
    }


def restore(about: Mapping[str, Any], path: Path) -> Net:
    """Check the spec in a description again, reading no file; `path` is the checkpoint named in errors.

    Raises:
        TrainError: an entry is missing or of the wrong type, or the spec has errors.
    """
    text, used = entry(about, "spec", str, path), entry(about, "used", dict, path, {})
    if len(text) > MAX_SPEC or not all(_is_text(k) and _is_text(v) for k, v in used.items()):
        raise TrainError(f"{path} is damaged: its spec is too long, or is not text")
    arguments = entry(about, "arguments", dict, path, {})
    inputs = entry(about, "inputs", dict, path, {})
    try:
        values = {str(name): plain(str(name), value) for name, value in arguments.items()}
        shapes = {str(name): _shape(sizes) for name, sizes in inputs.items()}
        report = check_source(Source("its spec", text), used, values, shapes)
    except (ValueError, RecursionError) as error:
        raise TrainError(f"{path} is damaged: the arguments of its spec cannot be read") from error
    if report.net is None:
        first = next(d for d in report.diagnostics if d.severity == "error")
        message = first.message if len(first.message) <= MAX_MESSAGE else f"{first.message[:MAX_MESSAGE]}..."
        raise TrainError(f"{path} contains an invalid spec: line {first.span.line}: {message}")
    return report.net


def read_recipe(content: Mapping[str, Any], path: Path) -> Recipe:
    """The recipe in a checkpoint's content; raises TrainError when it is missing or invalid."""
    try:
        return Recipe.model_validate_json(json.dumps(entry(content, "recipe", dict, path)))
    except (ValueError, TypeError, RecursionError) as error:
        raise TrainError(f"{path} contains a recipe that this version of netspec cannot read") from error


def plain(name: str, value: object) -> object:
    """Copy a value into built-in types, which torch loads without running code.

    Raises:
        TrainError: the value, or a value inside it, has no such form.
    """
    match value:
        case None | bool() | str():
            return value
        case int():
            return int(value)
        case float():
            return float(value)
        case list():
            return [plain(name, v) for v in value]
        case tuple():
            return tuple(plain(name, v) for v in value)
        case dict():
            return {plain(name, k): plain(name, v) for k, v in value.items()}
    raise TrainError(f"the parameter {name} is {kind_of(value)}, which a checkpoint cannot store")


def entry(content: Mapping[str, Any], key: str, kind: type[T], path: Path, default: T | None = None) -> T:
    """An entry of a checkpoint; raises TrainError when it is missing or not of type `kind`."""
    value = content.get(key, default)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise TrainError(f"{path} is not a complete checkpoint: its entry `{key}` is missing or damaged")
    return value


def _is_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= MAX_SPEC


def _shape(sizes: object) -> Shape:
    valid = isinstance(sizes, list | tuple) and all(type(s) is int and 0 < s < 10**9 for s in sizes)
    if not isinstance(sizes, list | tuple) or not valid or not 1 <= len(sizes) <= 3:
        raise ValueError("not a shape")
    return Shape(sizes)
