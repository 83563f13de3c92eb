"""Where output goes: results to standard output, everything about the way there to standard error."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_CONTROL: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")

__all__ = ["clean", "columns", "print_json", "print_result", "print_table", "report_progress", "results", "status"]


def clean(text: str) -> str:
    """Returns a text without control sequences, which error texts of other libraries hold, but with its line ends."""
    return _CONTROL.sub("", text)


def results() -> Console:
    """Returns the console for results. Tables that go into a file or pipe are not cut at the width of a terminal."""
    from rich.console import Console

    wide = None if sys.stdout.isatty() else 200
    return Console(file=sys.stdout, highlight=False, soft_wrap=False, width=wide)


def status() -> Console:
    """Returns the console for messages on the way."""
    from rich.console import Console

    return Console(file=sys.stderr, highlight=False, soft_wrap=True)


def report_progress(text: str) -> None:
    """Prints one plain line to standard error."""
    status().print(text, markup=False)


def print_result(text: str) -> None:
    """Prints plain text to standard output, as it is."""
    sys.stdout.write(text + "\n")


def print_json(content: Any) -> None:
    """Prints one JSON document, and nothing else, to standard output."""
    sys.stdout.write(json.dumps(content, indent=2, ensure_ascii=False, default=str) + "\n")


def print_table(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]], *, right: Iterable[int] = ()) -> None:
    """Prints a table of plain texts.

    Args:
        title: what the table lists.
        heads: titles of the columns.
        rows: the cells.
        right: positions of columns that are aligned to the right.
    """
    results().print(columns(title, heads, rows, right=right))


def columns(
    title: str,
    heads: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    right: Iterable[int] = (),
    long: Iterable[int] = (),
) -> RenderableType:
    """Returns a table of plain texts; see ``print_table``. ``long``: columns that take several lines before others do."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", title_style="bold")
    numbers, folded = set(right), {*long, len(heads) - 1}
    for position, head in enumerate(heads):
        justify: Any = "right" if position in numbers else "left"
        table.add_column(head, justify=justify, no_wrap=position not in folded, overflow="fold")
    for row in rows:
        table.add_row(*(Text(clean(cell)) for cell in row))
    return table
