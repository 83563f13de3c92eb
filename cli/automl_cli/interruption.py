"""Ctrl-C in two steps: the first asks the job to stop after what is in flight, the second stops at once."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

__all__ = ["Interruption", "stop_on_interrupt"]

_MESSAGE: Final = "\nStopping after the candidate or step in flight; Ctrl-C again stops at once. Nothing is lost.\n"


class Interruption:
    """Whether the user asked to stop."""

    def __init__(self) -> None:
        self.requested = False

    def __call__(self) -> bool:
        """Tells whether to stop."""
        return self.requested


@contextmanager
def stop_on_interrupt() -> Iterator[Interruption]:
    """Yields an object that turns true at the first Ctrl-C; the second raises ``KeyboardInterrupt`` as ever."""
    interruption = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield interruption  # only the main thread may have signal handlers
        return

    def on_signal(number: int, frame: FrameType | None) -> None:
        if interruption.requested:
            raise KeyboardInterrupt
        interruption.requested = True
        sys.stderr.write(_MESSAGE)
        sys.stderr.flush()

    before = signal.signal(signal.SIGINT, on_signal)
    try:
        yield interruption
    finally:
        signal.signal(signal.SIGINT, before)
