"""The Typer application: all commands, in the order in which a user meets them."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from automl.errors import InterruptedJobError
from automl_cli.commands.assemble import assemble
from automl_cli.commands.check import check
from automl_cli.commands.components import families, plugins
from automl_cli.commands.dashboard import dashboard
from automl_cli.commands.doctor import doctor
from automl_cli.commands.export import export
from automl_cli.commands.front import front
from automl_cli.commands.init_plugin import init_plugin
from automl_cli.commands.latency import latency
from automl_cli.commands.measure import measure
from automl_cli.commands.predict import predict
from automl_cli.commands.prune import prune
from automl_cli.commands.rank_check import rank_check
from automl_cli.commands.reduce import reduce
from automl_cli.commands.report import report
from automl_cli.commands.schema import schema
from automl_cli.commands.search import search
from automl_cli.commands.spaces import spaces
from automl_cli.commands.stitch import stitch
from automl_cli.commands.ticket import ticket

__all__ = ["build_application"]

RUNS = "Runs"
COMPONENTS = "What is installed"
AUTHORS = "For authors"


class _Commands(TyperGroup):
    """Ends quietly where the reader of a pipe has gone, as in ``automl front RUN | head -1``, and says so after Ctrl-C."""

    def invoke(self, ctx: Any) -> Any:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
            return result
        except BrokenPipeError:
            # Python flushes standard output again when it ends; that must not fail a second time.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        except KeyboardInterrupt:
            raise InterruptedJobError("stopped; the same command goes on where it was.") from None


def build_application() -> typer.Typer:
    """Returns the application with all commands."""
    application = typer.Typer(
        name="automl",
        cls=_Commands,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    )
    application.callback()(_global_options)
    for function, panel in (
        (search, RUNS),
        (front, RUNS),
        (export, RUNS),
        (report, RUNS),
        (dashboard, RUNS),
        (measure, RUNS),
        (predict, RUNS),
        (rank_check, RUNS),
        (prune, RUNS),
        (reduce, RUNS),
        (stitch, RUNS),
        (assemble, RUNS),
        (spaces, COMPONENTS),
        (families, COMPONENTS),
        (plugins, COMPONENTS),
        (doctor, COMPONENTS),
        (check, AUTHORS),
        (init_plugin, AUTHORS),
        (schema, AUTHORS),
    ):
        application.command(name=function.__name__.replace("_", "-"), rich_help_panel=panel)(function)
    application.add_typer(latency, rich_help_panel=RUNS)
    application.add_typer(ticket, rich_help_panel=RUNS)
    return application


def _show_version(value: bool) -> None:
    if value:
        from importlib.metadata import PackageNotFoundError, version

        try:
            found = version("automl-supernets")
        except PackageNotFoundError:
            found = "(not installed)"
        typer.echo(f"automl {found}")
        raise typer.Exit


def _global_options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and end.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show tracebacks and log messages. May stand anywhere on the line.")
    ] = False,
) -> None:
    """Train one supernet on your data, search it for the best networks for your hardware, export the winners.

    Start with [bold]automl search[/bold]; without options it searches [bold]image/tiny[/bold] on handwritten digits.
    """
