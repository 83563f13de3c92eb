"""``automl front --watch`` on a run that another owner is writing, and the view of a search in a terminal."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import filelock
import pytest
from automl_cli import progress_bars, watching
from automl_cli.progress_bars import PlainProgress, show_progress
from automl_cli.search_view import draw_search
from automl_cli.terminal_plots import scatter, sparkline

from automl.run_folder import Run, folder_in_use
from automl.search import Frontier, Ledger, Measurement
from automl.space import Ordinal, SearchSpace

SPACE = SearchSpace.build({"stem.width": Ordinal(8, 16, 24)})


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_watch_follows_a_writer_that_holds_its_locks_until_the_front_is_written(
    automl: Callable[..., Any], finished_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    front = (finished_run / "front.json").read_text()
    (finished_run / "front.json").unlink()
    (finished_run / "ledger.log").unlink()
    (finished_run / "training.json").write_text("[{}]")

    def write() -> Iterator[None]:
        with (
            Run.open(finished_run).lock(),
            Ledger(finished_run / "ledger.log", space=SPACE, objectives=["error", "macs"]) as ledger,
        ):
            for number, architecture in enumerate(SPACE.enumerate()):
                values = None if number == 1 else (0.1 / (number + 1), 1000.0 * (number + 1))
                failure = "broken" if number == 1 else None
                ledger.append(Measurement(architecture=architecture, values=values, failure=failure))
                yield
            assert len(ledger.read()) == 3
            (finished_run / "front.json").write_text(front)
            yield

    writer = write()
    monkeypatch.setattr(watching.time, "sleep", lambda _: next(writer))
    ended = automl("front", "done", "--watch")
    writer.close()
    assert ended.code == 0, ended.err
    assert ended.out.splitlines()[:4] == [
        "nothing measured yet, 1 epoch trained",
        "1/200 candidates: front of 1",
        "2/200 candidates: front of 1, 1 failed",
        "3/200 candidates: front of 2, 1 failed",
    ]
    assert ended.out.splitlines()[4].startswith("Front of done: 3 models")


def test_watch_ends_at_once_on_a_finished_run(automl: Callable[..., Any], finished_run: Path) -> None:
    ended = automl("front", "done", "--watch")
    assert ended.code == 0
    assert ended.out.startswith("Front of done: 3 models")


def test_watch_ends_quietly_on_ctrl_c(
    automl: Callable[..., Any], finished_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (finished_run / "front.json").unlink()

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(watching.time, "sleep", interrupt)
    ended = automl("front", "done", "--watch")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == "3/200 candidates: front of 3\n"


def test_watch_of_a_run_that_nobody_works_on_any_more_ends_and_says_so(
    automl: Callable[..., Any], finished_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (finished_run / "front.json").unlink()
    pauses: list[float] = []
    monkeypatch.setattr(watching.time, "sleep", pauses.append)
    ended = automl("front", "done", "--watch", "--every", "0.1")
    assert ended.code == 2
    assert "no process is working on this run any more, and its front is not written (3/200 candidates)" in ended.err
    assert ended.out == "3/200 candidates: front of 3\n"
    assert len(pauses) == 1


def test_watch_waits_while_a_process_holds_the_lock_and_not_once_it_was_killed(
    automl: Callable[..., Any], finished_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (finished_run / "front.json").unlink()
    code = (
        "import sys, time, pathlib; from automl.run_folder import Run\n"
        "with Run.open(pathlib.Path(sys.argv[1])).lock():\n    print('locked', flush=True); time.sleep(600)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(finished_run)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "locked\n"
    looks: list[bool] = []

    def look(_: float) -> None:
        looks.append(folder_in_use(finished_run))
        if len(looks) == 5:
            holder.kill()
            holder.wait()

    monkeypatch.setattr(watching.time, "sleep", look)
    ended = automl("front", "done", "--watch")
    holder.stdout.close()
    assert ended.code == 2
    assert looks == [True] * 5 + [False]


def test_asking_whether_a_run_is_in_use_keeps_nobody_out(finished_run: Path) -> None:
    assert not folder_in_use(finished_run)
    run = Run.open(finished_run)
    with run.lock():
        assert folder_in_use(finished_run)
    assert not folder_in_use(finished_run)
    looking = filelock.FileLock(finished_run / ".lock", thread_local=False)
    looking.acquire()
    threading.Timer(0.1, looking.release).start()
    with run.lock():
        pass


def test_watch_redraws_in_a_terminal(finished_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    front = (finished_run / "front.json").read_text()
    (finished_run / "front.json").unlink()
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(watching.time, "sleep", lambda _: (finished_run / "front.json").write_text(front))
    assert watching.watch_run(finished_run, 0.1)
    text = screen.getvalue()
    assert "3/200 candidates" in text
    assert "hypervolume" in text
    assert "•" in text


def _frontier(*rows: tuple[float, ...] | None) -> Frontier:
    frontier = Frontier(len(next(row for row in rows if row is not None)))
    for row in rows:
        frontier.add(row)
    return frontier


def test_view_shows_front_curve_and_failures() -> None:
    frontier = _frontier((0.3, 1000.0), (0.1, 2_000_000.0), None, (0.2, 40_000.0))
    lines = draw_search(frontier, [("error", ""), ("params", "")], width=60)
    assert lines[0] == "front of 3, 1 failed"
    assert lines[1].startswith("30.00 % │•")
    assert lines[9].startswith("10.00 % │")
    assert lines[9].rstrip().endswith("•")
    assert sum(line.count("•") for line in lines) == 3
    assert lines[11].split() == ["1", "k", "params", "2", "M"]
    assert lines[12].startswith("hypervolume ▁")
    assert "the last quarter added" in lines[12]
    assert all(len(line) <= 60 for line in lines[:12])


def test_view_of_one_objective_or_of_nothing() -> None:
    assert "best error: 10.00 %" in draw_search(_frontier((0.3,), (0.1,)), [("error", "")], width=60)
    assert draw_search(Frontier(2), [("error", ""), ("params", "")], width=60) == ["front of 0"]


def test_plots_put_values_where_they_belong() -> None:
    assert sparkline([]) == ""
    assert sparkline([1.0, 1.0]) == "▁▁"
    assert sparkline([0.0, 7.0, 3.0]) == "▁█▄"
    assert scatter([(0.0, 0.0), (1.0, 1.0)], 3, 2) == ["  •", "•  "]
    assert scatter([(2.0, 5.0)], 3, 3) == ["   ", " • ", "   "]


def test_search_in_a_terminal_shows_the_front_and_redraws_a_few_times_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    drawn: list[int] = []
    clock = [0.0]
    monkeypatch.setattr(progress_bars.time, "monotonic", lambda: clock[0])

    def draw(frontier: Frontier, objectives: Any, width: int) -> list[str]:
        drawn.append(frontier.trials)
        return ["the view"]

    monkeypatch.setattr(progress_bars, "draw_search", draw)
    frontier = Frontier(2)
    with show_progress() as progress:
        progress.begin("searching", 1000, "candidate")
        progress.watch(frontier, [("error", ""), ("params", "")])
        for number in range(1000):
            frontier.add((1.0 / (number + 1), float(number)))
            clock[0] += 0.01
            progress.advance(status="[red]")
    assert "the view" in screen.getvalue()
    assert 30 <= len(drawn) <= 50  # ten seconds


def test_plain_lines_tell_the_size_of_the_front(capsys: pytest.CaptureFixture[str]) -> None:
    frontier = _frontier((0.3, 1.0), (0.2, 2.0), None)
    progress = PlainProgress(quiet_seconds=0.0)
    progress.begin("searching", 8, "candidate", completed=2)
    progress.watch(frontier, [("error", ""), ("params", "")])
    progress.advance()
    assert capsys.readouterr().err.splitlines()[1] == (
        "searching: 3/8 candidates, about 0 s left, front of 2, 1 failed"
    )
