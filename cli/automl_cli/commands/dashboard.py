"""``automl dashboard``: optuna-dashboard on the ledger of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from automl_cli.console import report_progress
from automl_cli.options import RunArgument, RunsOption

__all__ = ["dashboard"]


def dashboard(
    run: RunArgument,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 8080,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Address to listen on; the default answers this machine only.")
    ] = "127.0.0.1",
    open_it: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    runs: RunsOption = Path("runs"),
) -> None:
    """Show the ledger of a run in optuna-dashboard, until Ctrl-C; works while a search is running.

    The ledger is only read, and never locked: whatever would change it in the page is refused.
    """
    from automl.report.dashboard import make_dashboard
    from automl_cli.run_names import find_run

    with make_dashboard(find_run(run, runs), host, port) as server:
        address = f"http://{host}:{server.server_port}/dashboard"
        report_progress(f"The dashboard is at {address}; Ctrl-C ends it.")
        if open_it:
            typer.launch(address)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return
