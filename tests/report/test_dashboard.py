"""The dashboard on loopback, while the search that owns the ledger goes on."""

from __future__ import annotations

import json
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from automl.errors import MissingExtraError, RunError
from automl.report.dashboard import make_dashboard
from automl.search import Ledger, Measurement
from automl.testing.problems import small_space


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    with make_dashboard(folder, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def get(address: str) -> Any:
    with urllib.request.urlopen(address, timeout=30) as answer:
        return json.load(answer)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "job.yaml").write_text("trials: 6\n")
    return folder


def test_a_writer_goes_on_while_the_dashboard_shows_its_trials(folder: Path) -> None:
    pytest.importorskip("optuna_dashboard", reason="the dashboard is an extra")
    architectures = list(small_space().enumerate())[:6]
    values = {a: (0.1 * i, 1.0 / (i + 1)) for i, a in enumerate(architectures)}
    with Ledger(folder / "ledger.log", space=small_space(), objectives=["error", "cost"]) as ledger:
        ledger.append(Measurement(architecture=architectures[0], values=values[architectures[0]]))
        with serving(folder) as address:
            studies = get(f"{address}/api/studies")["study_summaries"]
            assert [study["study_name"] for study in studies] == ["search"]
            detail = f"{address}/api/studies/{studies[0]['study_id']}?after=0"
            assert len(get(detail)["trials"]) == 1
            for architecture in architectures[1:]:
                ledger.append(Measurement(architecture=architecture, values=values[architecture]))
            deadline = time.monotonic() + 60  # the dashboard keeps what it has read for some seconds
            while len(shown := get(detail)["trials"]) < 6 and time.monotonic() < deadline:
                time.sleep(0.2)
            assert [tuple(trial["values"]) for trial in shown] == [values[a] for a in architectures]
            before = (folder / "ledger.log").read_bytes()
            erase = urllib.request.Request(f"{address}/api/studies/{studies[0]['study_id']}", method="DELETE")
            with pytest.raises(urllib.error.HTTPError, match="403"):
                urllib.request.urlopen(erase, timeout=30)
            assert (folder / "ledger.log").read_bytes() == before
            assert len(get(detail)["trials"]) == 6
        assert len(ledger.read()) == 6


def test_what_keeps_the_dashboard_from_starting_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RunError, match="nothing was measured yet"):
        make_dashboard(folder, "127.0.0.1", 0)
    with Ledger(folder / "ledger.log", space=small_space(), objectives=["error"]):
        pass
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "optuna_dashboard", None)
        with pytest.raises(MissingExtraError, match=r"pip install 'automl-supernets\[dashboard\]'"):
            make_dashboard(folder, "127.0.0.1", 0)
    pytest.importorskip("optuna_dashboard", reason="the dashboard is an extra")
    with make_dashboard(folder, "127.0.0.1", 0) as server, pytest.raises(RunError, match="cannot be listened on"):
        make_dashboard(folder, "127.0.0.1", server.server_port)
