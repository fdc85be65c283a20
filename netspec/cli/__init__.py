"""The command line. Each command imports its modules when it runs, so that all commands start fast."""

from __future__ import annotations

import click

from netspec import __version__
from netspec.cli.common import HELP
from netspec.cli.convert import convert_command
from netspec.cli.messages import TRACEBACK
from netspec.cli.prepare import prepare_command
from netspec.cli.results import eval_command, plot_command, predict_command
from netspec.cli.spec import (
    check_command,
    draw_command,
    explain_command,
    export_command,
    fmt_command,
    ops_command,
)
from netspec.cli.sweep import sweep_command
from netspec.cli.train import train_command
from netspec.cli.weights import weights_group
from netspec.cli.zoo import zoo_group


@click.group(context_settings=HELP)
@click.version_option(__version__, prog_name="netspec")
@click.option("--no-plugins", is_flag=True, help="Ignore the plug-ins of installed packages.")
@click.option("--traceback", "traces", is_flag=True, help="Show the traceback of an unexpected error.")
@click.pass_context
def main(ctx: click.Context, no_plugins: bool, traces: bool) -> None:
    """Check, count, draw, compile and train networks written as short specs."""
    if no_plugins:
        from netspec.plugins import disabled

        ctx.with_resource(disabled())
    ctx.meta[TRACEBACK] = traces


for command in (
    check_command,
    draw_command,
    export_command,
    convert_command,
    fmt_command,
    explain_command,
    ops_command,
    train_command,
    prepare_command,
    sweep_command,
    eval_command,
    predict_command,
    plot_command,
    weights_group,
    zoo_group,
):
    main.add_command(command)
