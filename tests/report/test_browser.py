"""The page in a real browser, where one is installed: every chart is drawn and the console stays silent."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from automl.report import write_report

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="needs Chromium")
def test_every_chart_is_drawn_without_a_message(make_run: Callable[..., Path], tmp_path: Path) -> None:
    report = write_report(make_run(objectives=("error", "latency", "params")))
    command = [
        str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=10000", "--enable-logging=stderr",
        "--dump-dom", report.as_uri(),
    ]  # fmt: skip
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    messages = [line for line in result.stderr.splitlines() if "CONSOLE" in line and "WebGL" not in line]
    assert messages == []
    assert result.stdout.count('class="plot-container') == 5
    assert result.stdout.count('class="drawing" data-id=') > 3
