"""Writes the report of a run into its folder: ``report.html`` and ``front.png``."""

from __future__ import annotations

from pathlib import Path

from automl.atomic_write import write_atomically
from automl.report.figure import draw_front
from automl.report.page import render_page
from automl.report.record import read_run

__all__ = ["write_report"]


def write_report(run_folder: str | Path, *, picked: str | None = None) -> Path:
    """Writes the report of a run, from what its folder holds; a part that is missing is left out.

    Args:
        run_folder: the run folder.
        picked: id or pick name, such as ``"best:error"``, of the model whose architecture is shown first; by default the
            knee.

    Returns:
        Path of ``report.html``; ``front.png`` lies beside it once something has been measured.

    Raises:
        RunError: the folder is missing, damaged or cannot be written, or no model is called ``picked``.
    """
    record = read_run(Path(run_folder))
    member = record.member(picked)
    picture = draw_front(record)
    if picture is not None:
        write_atomically(record.folder / "front.png", picture)
    path = record.folder / "report.html"
    write_atomically(path, render_page(record, member, picture))
    return path
