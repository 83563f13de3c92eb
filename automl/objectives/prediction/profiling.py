"""Timing the parts of several networks fairly: in turns, each visit warmed up, each network also as a whole."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from automl.objectives.runtimes.part_session import PartSession
from automl.objectives.timing import level_rounds

__all__ = ["Inside", "drift", "interleaved_parts", "part_times"]

_LEAST_ROUNDS: Final = 3


@dataclass(frozen=True)
class Inside:
    """Samples of one network.

    Attributes:
        parts: for each visit the seconds of each part by its path.
        whole: for each visit the seconds of the network that nothing watches.
    """

    parts: list[dict[str, float]]
    whole: list[float]


def interleaved_parts(
    sessions: Sequence[PartSession],
    *,
    repeats: int,
    warmup: int,
    budget: float,
    clock: Callable[[], float] = time.perf_counter,
) -> list[Inside | Exception]:
    """Times networks whole and in parts, A B C A B C.

    Each visit runs the network once untimed, which brings its data back into the caches, then once whole, then once watched.

    Args:
        sessions: the networks; each is finished here.
        repeats: visits to each network.
        warmup: untimed forwards of each network before the first round.
        budget: seconds for each network on average; no further round starts after that, but three always run.
        clock: returns the time in seconds.

    Returns:
        For each network its samples, or the exception that it raised.
    """
    failures: dict[int, Exception] = {}
    whole: list[list[float]] = [[] for _ in sessions]
    start = clock()
    for done in range(-1, repeats):  # round -1 warms up
        if done >= _LEAST_ROUNDS and clock() - start > budget * len(sessions):
            break
        for index, session in enumerate(sessions):
            if index in failures:
                continue
            try:
                for _ in range(1 if done >= 0 else warmup):
                    session.whole()
                if done >= 0:
                    before = clock()
                    session.whole()
                    whole[index].append(clock() - before)
                    session.run()
            except Exception as error:
                failures[index] = error
    results: list[Inside | Exception] = []
    for index, session in enumerate(sessions):
        try:
            parts = session.finish()
            results.append(failures.get(index) or Inside(parts, whole[index]))
        except Exception as error:
            results.append(failures.get(index) or error)
    return results


def part_times(group: Sequence[Inside]) -> list[dict[str, float]]:
    """Returns for each network the seconds of its parts: their median shares of the median visit.

    A machine that shares its host changes its speed by a third from one visit to the next, but hardly within one, so the
    shares of parts are steadier than their times. Whole visits have the speed of each round taken out (``level_rounds``).

    Args:
        group: networks that were timed interleaved, each with at least one visit.

    Example:
        >>> part_times([Inside([{"a": 1.0, "b": 3.0}, {"a": 2.0, "b": 6.0}], [4.0, 8.0])])
        [{'a': 1.5, 'b': 4.5}]
    """
    visits = [np.array([list(visit.values()) for visit in inside.parts]) for inside in group]
    found = []
    for inside, times, totals in zip(group, visits, level_rounds([t.sum(axis=1) for t in visits]), strict=True):
        shares = np.median(times / times.sum(axis=1, keepdims=True), axis=0)
        seconds = shares / shares.sum() * statistics.median(totals)
        found.append({path: float(value) for path, value in zip(inside.parts[0], seconds, strict=True)})
    return found


def drift(known: Mapping[str, float], now: Mapping[str, Sequence[float]], share: float = 0.2) -> float:
    """Returns by what new times are multiplied to fit those of a table that was measured at another time.

    A machine is faster at one time than at another. Parts that the table knows were timed again beside the new ones, so
    the ratio of their sums says by how much.

    Args:
        known: times in the table, by key.
        now: times of now, by key, one for each place; any unit that both share.
        share: known parts must take this much of the whole time to be trusted; otherwise 1 is returned.

    Example:
        >>> drift({"a": 2.0}, {"a": [1.0], "b": [3.0]})
        2.0
    """
    total = sum(sum(times) for times in now.values())
    shared = {key: statistics.median(times) for key, times in now.items() if key in known}
    again = sum(shared.values())
    if not again or sum(sum(now[key]) for key in shared) < share * total:
        return 1.0
    return sum(known[key] for key in shared) / again
