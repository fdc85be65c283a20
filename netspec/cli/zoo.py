"""The commands for the zoo."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from netspec.cli import completion
from netspec.cli.choices import Named, card_formats, zoo_listings
from netspec.cli.common import counted
from netspec.cli.messages import Command


class Listing(click.Group):
    """A group that runs its command `list` if no command is given."""

    command_class = Command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        plain = not args or args[0] not in {*self.commands, *ctx.help_option_names}
        return super().parse_args(ctx, ["list", *args] if plain else args)


@click.group("zoo", cls=Listing)
def zoo_group() -> None:
    """List the zoo's published networks; `netspec zoo list -h` shows the filters."""


@zoo_group.command("list")
@click.argument("patterns", nargs=-1, metavar="[PATTERN]...", shell_complete=completion.cards)
@click.option("--family", help="Only networks of this family, such as resnet.")
@click.option(
    "--max-params", metavar="COUNT", help="Only networks with at most this many parameters, such as 30M."
)
@click.option("--max-macs", metavar="COUNT", help="Only networks with at most this many MACs, such as 5G.")
@click.option(
    "--sort",
    type=click.Choice(["name", "depth", "params", "macs", "top1", "year"]),
    default="name",
    show_default=True,
    help="Sort by depth, size, year or accuracy: smallest, oldest or most accurate first.",
)
@click.option("--format", "form", type=Named(zoo_listings), default="table", show_default=True)
def zoo_list_command(
    patterns: Sequence[str], max_params: str | None, max_macs: str | None, form: str, **filters: Any
) -> None:
    """List the networks whose names match a PATTERN, such as 'resnet*'; by default all networks."""
    from netspec.emit.cards import LISTINGS
    from netspec.zoo import select

    cards = select(*patterns, max_params=counted(max_params), max_macs=counted(max_macs), **filters)
    click.echo(LISTINGS[form](cards))


@zoo_group.command("show")
@click.argument("name", shell_complete=completion.cards)
@click.option("--format", "form", type=Named(card_formats), default="text", show_default=True)
def zoo_show_command(name: str, form: str) -> None:
    """Show a network's card: its paper, its counts, and its weights with their preprocessing."""
    from netspec.emit.cards import CARD_FORMATS
    from netspec.zoo import card

    click.echo(CARD_FORMATS[form](card(name)))
