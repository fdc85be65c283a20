"""Imports the module that a target such as `torchvision.models:resnet50` names."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from netspec.convert.capture import reason
from netspec.errors import ConvertError


def load_target(target: str, arguments: Mapping[str, object]) -> nn.Module:
    """Import a target, `package.module:name` or `file.py:name`, and return the module that it names.

    A class or function is called with the arguments. Importing runs the target's code.

    Raises:
        ConvertError: the target cannot be imported or called, or it does not name or return a module.
    """
    place, colon, name = target.rpartition(":")
    if not colon or not place or not name:
        raise ConvertError(
            f"{target} is not PACKAGE.MODULE:NAME or FILE.py:NAME, such as torchvision.models:resnet50",
            wrong_use=True,
        )
    found: Any = load_file(Path(place)) if place.endswith(".py") else load_module(place)
    for part in name.split("."):
        if not hasattr(found, part):
            raise ConvertError(f"{place} has no {name}{likely(found, name)}")
        found = getattr(found, part)
    if isinstance(found, nn.Module):
        if arguments:
            raise ConvertError(f"{target} is already a module and takes no arguments: leave out `arg`")
        return found
    if not callable(found):
        raise ConvertError(f"{target} is neither a module nor a class or function that returns one")
    return made(found, target, arguments)


def made(function: Callable[..., Any], target: str, arguments: Mapping[str, object]) -> nn.Module:
    """Call a class or function and check that it returns a module."""
    try:
        module = function(**arguments)
    except Exception as error:
        raise ConvertError(f"{target} cannot be called: {type(error).__name__}: {reason(error)}") from error
    if not isinstance(module, nn.Module):
        raise ConvertError(f"{target} returns a {type(module).__name__}, not a torch.nn.Module")
    return module


def load_module(name: str) -> ModuleType:
    """Import a module by its name; like `python -m`, search the current folder first."""
    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ConvertError(f"there is no module {error.name}: is its package installed?") from error
    except Exception as error:
        raise ConvertError(f"{name} cannot be imported: {type(error).__name__}: {reason(error)}") from error
    finally:
        sys.path.remove(folder)


def load_file(path: Path) -> ModuleType:
    """Import a file; it can import other files in its folder."""
    if not path.is_file():
        raise ConvertError(f"{path}: there is no such file")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ConvertError(f"{path} cannot be imported: {type(error).__name__}: {reason(error)}") from error
    finally:
        sys.path.remove(folder)
    return module


def likely(module: object, name: str) -> str:
    """Return help for a message: a similar name in a Python module, or the names of its nn.Module classes."""
    from netspec.diagnostics import did_you_mean

    help = did_you_mean(name, [n for n in vars(module) if not n.startswith("_")])
    classes = [n for n, v in vars(module).items() if isinstance(v, type) and issubclass(v, nn.Module)]
    own = [n for n in classes if getattr(module, n).__module__ == getattr(module, "__name__", "")]
    return f": {help}" if help else f": its modules are {', '.join(own[:8])}" if own else ""
