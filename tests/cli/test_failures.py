from __future__ import annotations

import errno
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from automl.errors import ExportError, InterruptedJobError

Automl = Callable[..., Any]


def fail_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def raiser(*arguments: object, **options: object) -> None:
        raise error

    monkeypatch.setattr("automl.report.record.read_run", raiser)


def test_bug_is_told_shortly_with_the_file_of_its_traceback(
    automl: Automl, finished_run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    fail_with(monkeypatch, ZeroDivisionError("odd"))
    ended = automl("front", "done")
    assert ended.code == 1
    assert "Traceback" not in ended.err
    assert "ZeroDivisionError: odd" in ended.err
    (crash,) = tmp_path.glob("automl-crash-*.log")
    assert str(crash) in ended.err
    text = crash.read_text()
    assert "automl front done" in text
    assert "Traceback" in text


@pytest.mark.parametrize("line", ["--debug front done", "front done --debug", "front --debug done"])
def test_debug_shows_the_traceback_wherever_it_stands(
    automl: Automl, finished_run: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    fail_with(monkeypatch, ZeroDivisionError("odd"))
    ended = automl(*line.split())
    assert ended.code == 1
    assert "Traceback" in ended.err


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (KeyboardInterrupt(), 130, "stopped; the same command goes on"),
        (InterruptedJobError("stopped after 3 of 9 candidates"), 130, "stopped after 3 of 9"),
        (ExportError("onnx: differs"), 1, "Error: onnx: differs"),
        (OSError(errno.ENOSPC, "No space left on device", "runs/done/x"), 2, "runs/done/x: the disk is full"),
        (PermissionError(errno.EACCES, "Permission denied", "runs/done/x"), 2, "runs/done/x: Permission denied"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_known_errors_have_their_exit_code_and_no_traceback(
    automl: Automl,
    finished_run: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    code: int,
    message: str,
) -> None:
    fail_with(monkeypatch, error)
    ended = automl("front", "done")
    assert ended.code == code
    assert message in ended.err
    assert "Traceback" not in ended.err
    assert "crash" not in ended.err


def test_messages_carry_no_control_sequences(
    automl: Automl, finished_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_with(monkeypatch, ExportError("\x1b[96mstep 1\x1b[0m\x07 failed"))
    assert automl("front", "done").err == "Error: step 1 failed\n"


def test_closed_pipe_is_no_error(finished_run: Path) -> None:
    program = "import sys; from automl_cli.main import main; sys.argv = ['automl', 'schema', 'job']; main()"
    command = f"'{sys.executable}' -c \"{program}\" | true; exit ${{PIPESTATUS[0]}}"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stderr) == (0, "")
