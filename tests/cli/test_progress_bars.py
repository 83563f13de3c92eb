from __future__ import annotations

import io
import sys

import pytest
from automl_cli.progress_bars import PlainProgress, show_progress


def test_plain_progress_writes_few_lines_with_an_estimate(capsys: pytest.CaptureFixture[str]) -> None:
    progress = PlainProgress(quiet_seconds=0.0)
    progress.begin("searching", 8, "candidate", completed=2)
    progress.advance(3, status="1 failed")
    progress.note("epoch 1: loss 2.0")
    progress.advance(3)
    progress.end()
    progress.end()
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "searching: 8 candidates, 2 done before"
    assert lines[1] == "searching: 5/8 candidates, about 0 s left, 1 failed"
    assert lines[2] == "epoch 1: loss 2.0"
    assert lines[3] == "searching: 8/8 candidates"
    assert lines[4] == "searching: done after 0 s"
    assert len(lines) == 5


def test_plain_progress_is_quiet_between_lines(capsys: pytest.CaptureFixture[str]) -> None:
    progress = PlainProgress(quiet_seconds=60.0)
    progress.begin("training", None, "step")
    for _ in range(100):
        progress.advance()
    assert capsys.readouterr().err.splitlines() == ["training"]


def test_terminal_gets_a_bar_and_keeps_notes(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    with show_progress() as progress:
        progress.begin("training", 4, "step")
        progress.begin("training", 5, "step", completed=1)
        progress.advance(status="[red]x[/red]")
        progress.note("epoch 1: [bold]")
        progress.end()
        progress.begin("searching", None, "candidate")
        progress.advance()
    text = screen.getvalue()
    assert "epoch 1: [bold]" in text
    assert "training" in text
    assert "searching" in text


def test_pipe_gets_plain_lines() -> None:
    with show_progress() as progress:
        assert isinstance(progress, PlainProgress)
