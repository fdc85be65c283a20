"""Recovers the modules of an ONNX model from the names of its nodes and weights."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from netspec.frontends.trace import Step
from netspec.language.parser.grammar import words


def module_path(name: str) -> str:
    """Return the path of the module in a node's name, following the conventions of PyTorch's exporters.

    >>> module_path("/layer1/layer1.0/conv1/Conv"), module_path("layer1.0.conv1/Conv"), module_path("Conv_12")
    ('layer1.0.conv1', 'layer1.0.conv1', '')
    """
    path: list[str] = []
    for part in name.strip("/").split("/")[:-1]:
        names = [re.sub(r"\W", "_", p) for p in part.split(".") if p]
        common = next(k for k in range(len(names), -1, -1) if path[len(path) - k :] == names[:k])
        path += names[common:]
    return ".".join(path)


def groups(paths: Iterable[str]) -> set[str]:
    """Return the paths of all modules that contain one of the given paths."""
    found: set[str] = set()
    for path in paths:
        while path := path.rpartition(".")[0]:
            found.add(path)
    return found


def lifted(steps: Sequence[Step]) -> list[Step]:
    """Return the steps, where a module with a single step is replaced by a layer with the module's name."""
    inside = Counter(path for s in steps for path in (s.module, *groups([s.module])) if path)
    found = []
    for step in steps:
        if not step.name and inside[step.module] == 1:
            module, _, name = step.module.rpartition(".")
            step = replace(step, module=module, name="" if re.fullmatch(rf"{step.op}_?\d*", name) else name)
        found.append(step)
    return found


def classes(steps: Sequence[Step]) -> dict[str, str]:
    """Return a class name for each module whose name has a number, such as `layer1.0`, by its path.

    Modules whose paths differ only in numbers have the same class. A module that contains such modules has
    none: it is a container.
    """
    paths = groups(f"{s.module}.{s.name or 'x'}" for s in steps if s.module)
    counted = {p for p in paths if re.search(r"\d", p.rpartition(".")[2])}
    innermost = {p for p in counted if not any(other.startswith(f"{p}.") for other in counted)}
    patterns: dict[str, list[str]] = defaultdict(list)
    for path in sorted(innermost):
        patterns[re.sub(r"\d+[a-z]?(?=\.|$|_)", "#", path)].append(path)
    found: dict[str, str] = {}
    used: set[str] = set()
    for pattern, members in patterns.items():
        base, count = class_name(pattern), 1
        name = base
        while name in used:
            count += 1
            name = f"{base}{count}"
        used.add(name)
        found.update(dict.fromkeys(members, name))
    return found


def class_name(pattern: str) -> str:
    """Return a class name for a pattern of paths.

    >>> class_name("layer#.#"), class_name("features.denseblock#.denselayer#"), class_name("blocks.#")
    ('Layer', 'Denselayer', 'Block')
    """
    words = [re.sub(r"[^A-Za-z]+", " ", part).split() for part in pattern.split(".")]
    named = next((w for w in reversed(words) if w), ["block"])
    text = "".join(word[:1].upper() + word[1:] for word in named)
    return text[:-1] if text.endswith("s") and not text.endswith("ss") and len(text) > 3 else text


def input_name(name: str) -> str:
    """Return a name for an input that is valid in the language."""
    word = re.sub(r"\W", "_", name).lstrip("_") or "x"
    word = f"x_{word}" if word[0].isdigit() else word
    return f"{word}_1" if word in words() else word
