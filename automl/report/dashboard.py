"""optuna-dashboard on the ledger of a run, read-only."""

from __future__ import annotations

from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import yaml

from automl.errors import MissingExtraError, RunError

__all__ = ["make_dashboard"]


class _Server(ThreadingMixIn, WSGIServer):
    """A slow plot must not keep the page from being refreshed."""

    daemon_threads = True


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: the page asks every few seconds."""


def make_dashboard(folder: Path, host: str, port: int) -> WSGIServer:
    """Returns a server of the dashboard of a run; the caller lets it serve and closes it.

    A journal file is read without a lock, so the search that writes it goes on undisturbed; a database is opened as its job
    names it. Requests that would change anything are refused.

    Args:
        folder: the run folder.
        host: address to listen on.
        port: port to listen on; 0 takes a free one.

    Raises:
        MissingExtraError: optuna-dashboard is not installed.
        RunError: nothing was measured yet, or the address cannot be used.
    """
    storage = _storage(folder)  # a run without measurements is the nearer mistake
    try:
        from optuna_dashboard import wsgi
    except ImportError as error:
        raise MissingExtraError(
            "the dashboard needs optuna-dashboard: pip install 'automl-supernets[dashboard]'."
        ) from error
    application = wsgi(storage)
    try:
        return make_server(host, port, _read_only(application), server_class=_Server, handler_class=_QuietHandler)
    except OSError as error:
        raise RunError(
            f"{host}:{port}: cannot be listened on: {error.strerror or error}. Choose another --port; 0 takes a free one."
        ) from error


def _read_only(application: Any) -> Any:
    def answer(environment: dict[str, Any], start_response: Any) -> Any:
        if environment["REQUEST_METHOD"] in ("GET", "HEAD"):
            return application(environment, start_response)
        start_response("403 Forbidden", [("Content-Type", "application/json")])
        return [b'{"reason": "The run is shown read-only; nothing can be changed here."}']

    return answer


def _storage(folder: Path) -> Any:
    from optuna.storages import JournalStorage

    from automl.search.journal import ReadOnlyJournal

    job = yaml.safe_load((folder / "job.yaml").read_text(encoding="utf-8"))
    url = job.get("storage") if isinstance(job, dict) else None
    if url:
        return url
    path = folder / "ledger.log"
    if not path.is_file():
        raise RunError(f"{path}: nothing was measured yet; the dashboard needs a search that has begun.")
    return JournalStorage(ReadOnlyJournal(path))
