"""The file that holds a searcher's state, replaced as a whole after every ``tell``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, cast

import numpy as np

from automl.atomic_write import disk_errors
from automl.errors import RunError
from automl.search.measurement import Measurement

__all__ = ["generator_from", "generator_state", "read_state", "reading_state", "write_state"]

_FORMAT: Final = 1


def write_state(path: Path, content: dict[str, Any]) -> None:
    """Replaces the file in one step: a reader sees the old content or the new, never a mixture.

    It is not forced to disk. After a power failure it may be lost or stale, and the search is then replayed from the
    ledger, which is.

    Raises:
        RunError: the disk is full or the folder cannot be written; an existing file is left as it was.
    """
    temporary = path.with_name(path.name + ".tmp")
    with disk_errors(path):
        try:
            temporary.write_text(json.dumps({"format": _FORMAT, **content}), encoding="utf-8")
            temporary.replace(path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise


def read_state(path: Path) -> dict[str, Any] | None:
    """Returns what ``write_state`` wrote; ``None`` if there is no such file or it is not one of these."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) and content.get("format") == _FORMAT else None


def generator_state(rng: np.random.Generator) -> dict[str, Any]:
    """Returns the state of a generator as JSON values."""
    return dict(rng.bit_generator.state)


def generator_from(state: dict[str, Any]) -> np.random.Generator:
    """Returns a generator in a state that ``generator_state`` returned."""
    bits = np.random.PCG64()
    bits.state = cast("Any", state)
    return np.random.Generator(bits)


@contextmanager
def reading_state(
    searcher: str, state: dict[str, Any] | None = None, history: Sequence[Measurement] = ()
) -> Iterator[None]:
    """Turns what a malformed state raises inside the block into a ``RunError`` that names the searcher.

    Args:
        searcher: its name.
        state: if given, its ``told`` must be the length of the history, otherwise they do not belong together.
        history: what was told.
    """
    try:
        if state is not None and state["told"] != len(history):
            raise ValueError(f"it was saved after {state['told']} measurements, the history holds {len(history)}")
        yield
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise RunError(
            f"the saved state of the searcher {searcher!r} is malformed or belongs to another history: {error!r}."
        ) from error
