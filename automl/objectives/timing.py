"""Timing several functions fairly on a machine that is never quite still."""

from __future__ import annotations

import gc
import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import numpy as np
import numpy.typing as npt
import torch

__all__ = ["flushed_denormals", "interleaved_times", "level_rounds", "median_interval", "steady_machine"]

FloatVector = npt.NDArray[np.float64]
_VISIT_SECONDS: Final = 1e-3
_MOST_CALLS: Final = 100
_LEAST_ROUNDS: Final = 3
_LEAST_GROUP: Final = 8


def interleaved_times(
    functions: Sequence[Callable[[], object]],
    *,
    repeats: int,
    warmup: int,
    budget: float,
    clock: Callable[[], float] = time.perf_counter,
) -> list[list[float] | Exception]:
    """Times functions in turns, A B C A B C, so that a slow moment of the machine hits all of them alike.

    Each visit first calls the function once without timing it, which brings its data back into the caches that the others
    have used; then it times enough calls to fill a millisecond, and counts their mean as one sample.

    Args:
        functions: what to time.
        repeats: visits to each function.
        warmup: untimed calls of each function before the first round.
        budget: seconds for each function on average; no further round starts after that, but three always run.
        clock: returns the time in seconds.

    Returns:
        For each function its samples in seconds, one per visit, or the exception that it raised.
    """
    samples: list[list[float] | Exception] = [[] for _ in functions]
    calls = [1] * len(functions)
    start = clock()
    for index, function in enumerate(functions):
        try:
            for _ in range(warmup):
                function()
            calls[index] = _calls_per_visit(function, clock)
        except Exception as error:
            samples[index] = error
    for done in range(repeats):
        if done >= _LEAST_ROUNDS and clock() - start > budget * len(functions):
            break
        for index, function in enumerate(functions):
            times = samples[index]
            if isinstance(times, Exception):
                continue
            try:
                function()
                times.append(_mean_time(function, calls[index], clock))
            except Exception as error:
                samples[index] = error
    return samples


def level_rounds(samples: Sequence[Sequence[float] | FloatVector]) -> list[list[float]]:
    """Takes the speed of the machine in each round out of interleaved samples.

    Neighbours on the same host make whole rounds slower by a third or more. How much slower a round was is the median
    over the *other* functions of their time in it against their own median, so no function explains its own noise away
    and the interval of its median stays honest. Medians of all functions together keep their level. With fewer than
    8 functions the factor would be noisier than what it mends, so they are returned as they are.

    Args:
        samples: for each function its samples, one per round, all above zero.

    Source:
        The additive fit by medians of Tukey 1977, "Exploratory data analysis", chapter 11 (median polish), on logarithms,
        with the row's own value left out.
    """
    if len(samples) < _LEAST_GROUP or len({len(times) for times in samples}) != 1 or not len(samples[0]):
        return [list(times) for times in samples]
    logarithms = np.log(np.asarray(samples, dtype=float))
    residuals = logarithms - np.median(logarithms, axis=1, keepdims=True)
    levelled = []
    for index, row in enumerate(logarithms):
        factors = np.median(np.delete(residuals, index, axis=0), axis=0)
        levelled.append(np.exp(row - factors + np.median(factors)).tolist())
    return levelled


def median_interval(samples: Sequence[float], confidence: float = 0.95) -> tuple[float, float, float, float]:
    """Returns median, lower and upper end of its interval, and the true coverage of that interval.

    The ends are order statistics: the narrowest symmetric pair whose coverage, ``1 - 2 P(Binomial(n, 1/2) <= j)``, reaches
    the confidence. Nothing is assumed about the shape of the distribution, only that samples are independent. With fewer
    than 6 samples the whole range is returned, which covers less than 95 %.

    Source:
        Thompson 1936, "On confidence ranges for the median", Annals of Mathematical Statistics 7, equation (3).

    Example:
        >>> median_interval([3.0, 1.0, 2.0, 5.0, 4.0, 6.0])
        (3.5, 1.0, 6.0, 0.96875)
    """
    ordered = sorted(samples)
    count = len(ordered)
    cut, coverage, below = 0, 0.0, 0.0
    for j in range((count + 1) // 2):
        below += math.comb(count, j) / 2**count
        if j == 0 or 1 - 2 * below >= confidence:
            cut, coverage = j, 1 - 2 * below
    return statistics.median(ordered), ordered[cut], ordered[count - 1 - cut], max(coverage, 0.0)


@contextmanager
def steady_machine(threads: int) -> Iterator[None]:
    """Fixes what would make two timings differ, and puts everything back afterwards.

    The number of torch threads is set, garbage collection waits, and denormal numbers are flushed to zero: random or
    pruned weights can produce them, and they cost a hundred times a normal operation.
    """
    threads_before, collecting = torch.get_num_threads(), gc.isenabled()
    gc.collect()
    gc.disable()
    torch.set_num_threads(threads)
    try:
        with flushed_denormals():
            yield
    finally:
        torch.set_num_threads(threads_before)
        if collecting:
            gc.enable()


@contextmanager
def flushed_denormals() -> Iterator[None]:
    """Flushes denormal numbers to zero in this thread and in threads that it starts; then as before."""
    # torch has no getter; a denormal that survives an addition tells
    before = torch.tensor(1e-40).add(torch.tensor(0.0)).item() == 0.0
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


def _calls_per_visit(function: Callable[[], object], clock: Callable[[], float]) -> int:
    seconds = max(_mean_time(function, 1, clock), 1e-9)
    return max(1, min(_MOST_CALLS, math.ceil(_VISIT_SECONDS / seconds)))


def _mean_time(function: Callable[[], object], calls: int, clock: Callable[[], float]) -> float:
    start = clock()
    for _ in range(calls):
        function()
    return (clock() - start) / calls
