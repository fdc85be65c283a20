"""Stores the description of a network in a checkpoint, and rebuilds the network from it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from netspec.checker import Report, check_source
from netspec.checkpoint.content import About, read_about
from netspec.diagnostics import Source
from netspec.errors import TrainError
from netspec.graph import Net
from netspec.language.values import kind_of
from netspec.shape import Shape

MAX_SPEC = 2 * 2**20
"""The maximum number of characters in a spec. Spec files have the same limit."""
MAX_MESSAGE = 300
"""The maximum number of characters that an error quotes from a diagnostic."""


def describe(
    report: Report, spec: str, *, root: Path | None = None, val_share: float | None = None
) -> dict[str, object]:
    """Return plain values from which `restore` can rebuild a network without the spec's files.

    `spec` is the path or name that the user gave. `root` is the folder of the images, and `val_share` the
    fraction held out for validation; they let evaluation use the same images.

    Raises:
        TrainError: a parameter has a value that a checkpoint cannot store.
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


def restore(about: About | Mapping[str, Any], path: Path) -> Net:
    """Rebuild a network from its description without reading files; `path` names the checkpoint in errors.

    Raises:
        TrainError: an entry is missing or of the wrong type, or the spec has errors.
    """
    described = about if isinstance(about, About) else read_about(about, path)
    if not described.spec:
        raise TrainError(f"{path} is not a netspec checkpoint: it contains no spec")
    if any(len(text) > MAX_SPEC for text in (described.spec, *described.used, *described.used.values())):
        raise TrainError(f"{path} is damaged: its spec is too long")
    try:
        values = {str(name): plain(str(name), value) for name, value in described.arguments.items()}
        shapes = {name: Shape(sizes) for name, sizes in described.inputs.items()}
        source = Source("its spec", described.spec)
        report = check_source(source, described.used, values, shapes)
    except (ValueError, RecursionError) as error:
        raise TrainError(f"{path} is damaged: the arguments of its spec cannot be read") from error
    if report.net is None:
        first = next(d for d in report.diagnostics if d.severity == "error")
        message = first.message if len(first.message) <= MAX_MESSAGE else f"{first.message[:MAX_MESSAGE]}..."
        raise TrainError(f"{path} contains an invalid spec: line {first.span.line}: {message}")
    return report.net


def plain(name: str, value: object) -> object:
    """Return a value converted to built-in types, which torch loads without running code.

    Raises:
        TrainError: the value, or one inside it, is not of a built-in type.
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
