"""Options whose choices are the names in a registry, which is imported only when needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class Named(click.ParamType[str]):
    """A click type for the names in a registry; plug-ins are searched only for names not in `builtin`."""

    name = "name"

    def __init__(
        self, names: Callable[[], Iterable[str]], builtin: Callable[[], Iterable[str]] = tuple
    ) -> None:
        self.names, self.builtin = names, builtin

    def choice(self) -> click.Choice[str]:
        return click.Choice(list(self.names()))

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str | None:
        return self.choice().get_metavar(param, ctx)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value in self.builtin():
            return str(value)
        return self.choice().convert(value, param, ctx)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return self.choice().shell_complete(ctx, param, incomplete)


def check_formats() -> list[str]:
    from netspec.emit.formats import names

    return names()


def builtin_check_formats() -> list[str]:
    from netspec.emit.formats import builtin

    return builtin()


def export_targets() -> Iterable[str]:
    from netspec.emit.targets import TARGETS

    return TARGETS


def zoo_listings() -> Iterable[str]:
    from netspec.emit.cards import LISTINGS

    return LISTINGS


def card_formats() -> Iterable[str]:
    from netspec.emit.cards import CARD_FORMATS

    return CARD_FORMATS
