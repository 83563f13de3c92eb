"""The order in which a searcher was asked and told, in a few numbers: enough to repeat everything from the history."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from automl.search.measurement import Measurement

__all__ = ["CallLog"]


class CallLog:
    """Rounds of asking and telling, of which those of the same shape in a row are counted.

    A searcher whose state would be large, such as one with a network, keeps this log instead and repeats its calls when it is
    restored.

    Args:
        rounds: what another log's ``state`` returned, to go on from there.
    """

    def __init__(self, rounds: Sequence[Sequence[int]] = ()) -> None:
        self._rounds: Final = [list(entry) for entry in rounds]  # asked, told, how many times in a row

    def note(self, *, asked: int = 0, told: int = 0) -> None:
        """Notes a call that answered ``asked`` architectures, or one that brought ``told`` measurements."""
        if not asked and not told:
            return
        if not self._rounds or self._rounds[-1][2] > 1 or (asked and self._rounds[-1][1]):
            self._rounds.append([asked, told, 1])
        else:
            self._rounds[-1][0] += asked
            self._rounds[-1][1] += told
        if told and len(self._rounds) > 1 and self._rounds[-1][:2] == self._rounds[-2][:2]:
            self._rounds.pop()
            self._rounds[-1][2] += 1

    def state(self) -> list[list[int]]:
        """Returns the rounds as JSON."""
        return [list(entry) for entry in self._rounds]

    @staticmethod
    def replay(
        rounds: Sequence[Sequence[int]],
        history: Sequence[Measurement],
        *,
        ask: Callable[[int], Any],
        tell: Callable[[Sequence[Measurement]], None],
    ) -> None:
        """Repeats the calls of a log with the measurements of a history.

        Raises:
            ValueError: the rounds are not those of this history.
        """
        if sum(told * times for _, told, times in rounds) != len(history):
            raise ValueError(f"the rounds do not add up to {len(history)} measurements")
        left = iter(history)
        for asked, told, times in rounds:
            for _ in range(times):
                if asked:
                    ask(asked)
                if told:
                    tell([next(left) for _ in range(told)])
