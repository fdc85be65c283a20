"""What a checkpoint keeps of its network: the texts of the spec, as plain values, and back to a network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from netspec.checker import Report, check_source
from netspec.diagnostics import Source
from netspec.errors import TrainError
from netspec.graph import Net
from netspec.language.values import kind_of
from netspec.shape import Shape

T = TypeVar("T")
LONGEST = 2 * 2**20
"""Characters of a spec, as many as are read from a file."""
MOST = 300
"""Characters of a fault that are repeated."""


def describe(
    report: Report, spec: str, *, root: Path | None = None, val_share: float | None = None
) -> dict[str, object]:
    """All that `restore` needs to make a report's network again without its files, as plain values.

    `spec` is the user's name for it; `root` and `val_share` say where the images lie and how many are held
    out, so that an evaluation finds the same ones.

    Raises:
        TrainError: a parameter has a value that is not plain.
    """
    main = Path(report.source.path).parent
    return {
        "path": spec,
        "spec": report.source.text,
        "used": {Path(s.path).relative_to(main).as_posix(): s.text for s in report.used},
        "arguments": {name: plain(name, value) for name, value in report.arguments.items()},
        "inputs": {name: list(shape) for name, shape in report.inputs.items()},
        "root": None if root is None else str(root),
        "val_share": val_share,
    }


def restore(about: Mapping[str, Any], where: Path) -> Net:
    """Check the texts of a description again, from memory alone; `where` is what errors name.

    Raises:
        TrainError: something is missing or of another kind, or the spec has faults.
    """
    text, used = entry(about, "spec", str, where), entry(about, "used", dict, where, {})
    if len(text) > LONGEST or not all(_is_text(k) and _is_text(v) for k, v in used.items()):
        raise TrainError(f"{where} keeps no spec that can be read: its texts are too long, or no texts")
    arguments = entry(about, "arguments", dict, where, {})
    inputs = entry(about, "inputs", dict, where, {})
    try:
        given = {str(name): plain(str(name), value) for name, value in arguments.items()}
        shapes = {str(name): _shape(sizes) for name, sizes in inputs.items()}
        report = check_source(Source("its spec", text), used, given, shapes)
    except (ValueError, RecursionError) as error:
        raise TrainError(f"{where} is damaged: the arguments of its spec cannot be read") from error
    if report.net is None:
        fault = next(d for d in report.diagnostics if d.severity == "error")
        message = fault.message if len(fault.message) <= MOST else f"{fault.message[:MOST]}..."
        raise TrainError(f"{where} keeps a spec that this netspec refuses: line {fault.span.line}: {message}")
    return report.net


def plain(name: str, value: object) -> object:
    """A value without classes of ours, so that loading it runs no code; raises TrainError."""
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
    raise TrainError(f"the parameter {name} is {kind_of(value)}, which a checkpoint cannot keep")


def entry(content: Mapping[str, Any], key: str, kind: type[T], where: Path, missing: T | None = None) -> T:
    """An entry of a checkpoint, of the kind that it must have; raises TrainError."""
    value = content.get(key, missing)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise TrainError(
            f"{where} is not a whole checkpoint of netspec: its entry `{key}` is missing or damaged"
        )
    return value


def _is_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= LONGEST


def _shape(sizes: object) -> Shape:
    whole = isinstance(sizes, list | tuple) and all(type(s) is int and 0 < s < 10**9 for s in sizes)
    if not isinstance(sizes, list | tuple) or not whole or not 1 <= len(sizes) <= 3:
        raise ValueError("not a shape")
    return Shape(sizes)
