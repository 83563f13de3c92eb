"""Predicted latency: the sum of the blocks of a network in a table, corrected by what whole networks take."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, final

from automl.errors import AutomlError, UserError
from automl.objectives.candidate import Candidate
from automl.objectives.prediction.correction import fit_correction, fit_parts
from automl.objectives.prediction.parts import Part, parts_of
from automl.objectives.prediction.profiling import Inside, drift, interleaved_parts, part_times
from automl.objectives.prediction.table import BlockTable, Entry
from automl.objectives.runtimes.eager import Eager
from automl.objectives.runtimes.part_session import PartSession
from automl.objectives.runtimes.runtime import Runtime
from automl.objectives.timing import level_rounds, steady_machine
from automl.objectives.value import Value

__all__ = ["LatencyPredictor", "UnprofiledError"]

_PATIENCE: Final = 4
"""Few networks are profiled and many predicted from them, so each may take so many times longer than a candidate."""
_GROUP: Final = 16
"""Whole networks that are measured interleaved; so many are lost when the measurement is killed."""
_THOROUGH: Final = 8
"""Factor on the visits where a table is filled for its own sake."""
_SMALLEST: Final = 1e-6
"""Milliseconds that a part takes at least; a module that does nothing may be below the resolution of a clock."""


class UnprofiledError(UserError):
    """A network has a part that the table does not hold; nothing is extrapolated."""


@final
class LatencyPredictor:
    """Predicts latencies from a block table, and adds to the table what it lacks when it is told to.

    Args:
        table: what is known.
        runtime: what runs the networks.
        batch_size: samples in one forward.
        threads: threads of one forward.
        repeats: visits to each network.
        warmup: untimed forwards before the first visit.
        budget: seconds for each network.
        measure_whole: measures whole networks with so many visits each; returns milliseconds, or the exception of a network.
        clock: returns the time in seconds.
    """

    def __init__(
        self,
        table: BlockTable,
        *,
        runtime: Runtime,
        batch_size: int,
        threads: int,
        repeats: int,
        warmup: int,
        budget: float,
        measure_whole: Callable[[Sequence[Candidate], int], list[float | Exception]],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.table: Final = table
        self._runtime: Final = runtime
        self._batch_size: Final = batch_size
        self._threads: Final = threads
        self._repeats: Final = repeats
        self._budget: Final = _PATIENCE * budget
        self._time_parts: Final = partial(interleaved_parts, warmup=warmup, clock=clock)
        self._measure_whole: Final = measure_whole

    @property
    def sees_parts(self) -> bool:
        """Whether blocks are timed inside networks; otherwise they are fitted to whole networks."""
        return self._runtime.sees_parts

    def predict(self, candidate: Candidate, parts: Sequence[Part] | None = None) -> Value:
        """Returns the predicted milliseconds with a 95 % prediction interval.

        Args:
            candidate: the network; runs once, to see the shapes that enter its parts, unless ``parts`` are given.
            parts: its parts.

        Raises:
            UnprofiledError: the table lacks one of its parts, or has no correction yet; says which, and what to do.
        """
        parts = self.parts(candidate) if parts is None else parts
        missing = self.missing(parts)
        correction = self.table.correction
        if missing or correction is None:
            raise UnprofiledError(self._refusal(candidate, missing))
        ms = correction.predict(sum(self.table.entries[part.key].ms for part in parts))
        margin = correction.margin
        context = {
            "parts": correction.parts,
            "correction": [round(correction.intercept, 6), round(correction.slope, 6)],
            "margin": round(margin, 4),
        }
        return Value(ms, max(0.0, ms * (1 - margin)), ms * (1 + margin), context)

    def parts(self, candidate: Candidate) -> list[Part]:
        """Returns the parts of a network; costs one forward."""
        return parts_of(candidate.model, candidate.example_inputs(self._batch_size))

    def missing(self, parts: Sequence[Part]) -> list[Part]:
        """Returns the parts that the table does not hold, one for each key."""
        unknown: dict[str, Part] = {}
        for part in parts:
            if part.key not in self.table.entries:
                unknown.setdefault(part.key, part)
        return list(unknown.values())

    def profile(
        self, candidates: Sequence[Candidate], *, fit: bool = False, thorough: bool = False
    ) -> dict[int, Exception]:
        """Times the parts of networks, interleaved, and adds what the table lacks; known parts keep their times.

        Args:
            candidates: the networks.
            fit: they are typical networks of the space, so fit the correction to them.
            thorough: visit each network many more times.

        Returns:
            The exceptions of networks that could not be timed, by their positions.
        """
        if not self.sees_parts:
            return self._profile_whole(candidates, fit=fit, thorough=thorough)
        failures: dict[int, Exception] = {}
        sessions: dict[int, PartSession] = {}
        parts: dict[int, list[Part]] = {}
        for i, candidate in enumerate(candidates):
            try:
                parts[i] = self.parts(candidate)
                sessions[i] = self._session(self._runtime, candidate, parts[i])
            except Exception as error:
                failures[i] = error
        with steady_machine(self._threads):
            factor = _THOROUGH if thorough else 1
            results = self._time_parts(
                list(sessions.values()), repeats=factor * self._repeats, budget=factor * self._budget
            )
        samples: dict[int, Inside] = {}
        for i, result in zip(sessions, results, strict=True):
            if isinstance(result, Exception):
                failures[i] = result
            else:
                samples[i] = result
        entries = self._inside({i: parts[i] for i in samples}, samples)
        correction = None
        if fit and samples and self.table.correction is None:
            times = {key: entry.ms for key, entry in entries.items()} | self._known()
            totals = [sum(times[part.key] for part in parts[i]) for i in samples]
            rounds = level_rounds([inside.whole for inside in samples.values()])
            whole = [1e3 * statistics.median(times) for times in rounds]
            correction = fit_correction(totals, whole, "inside")
        self.table.add(entries, correction)
        return failures

    def _inside(self, parts: Mapping[int, Sequence[Part]], samples: Mapping[int, Inside]) -> dict[str, Entry]:
        medians: dict[str, list[float]] = {}
        first: dict[str, Part] = {}
        visits: Counter[str] = Counter()
        for (i, inside), times in zip(samples.items(), part_times(list(samples.values())), strict=True):
            runs = Counter(part.path for part in parts[i])
            for part in parts[i]:
                medians.setdefault(part.key, []).append(1e3 * times[part.path] / runs[part.path])
                visits[part.key] += len(inside.parts)
                first.setdefault(part.key, part)
        factor = drift(self._known(), medians)
        return {
            key: Entry(max(_SMALLEST, factor * statistics.median(times)), visits[key], first[key].describe())
            for key, times in medians.items()
            if key not in self.table.entries
        }

    def _profile_whole(self, candidates: Sequence[Candidate], *, fit: bool, thorough: bool) -> dict[int, Exception]:
        """Fits parts to whole networks where the runtime cannot look inside; parts in eager torch are the prior."""
        failures: dict[int, Exception] = {}
        measured: dict[int, float] = {}
        for i, result in enumerate(self._whole(candidates, thorough)):
            if isinstance(result, Exception):
                failures[i] = result
            else:
                measured[i] = result
        if not measured:
            return failures
        parts = {i: self.parts(candidates[i]) for i in measured}
        prior = self._eager({i: candidates[i] for i in measured}, parts)
        known = self._known()
        keys = sorted({part.key for found in parts.values() for part in found if part.key not in known})
        entries: dict[str, Entry] = {}
        if keys:
            counts = [[sum(part.key == key for part in parts[i]) for key in keys] for i in measured]
            rest = [
                max(0.02 * ms, ms - sum(known.get(part.key, 0.0) for part in parts[i])) for i, ms in measured.items()
            ]
            rows = [row for row, count in enumerate(counts) if any(count)]
            fitted = fit_parts([counts[r] for r in rows], [rest[r] for r in rows], [prior[key] for key in keys])
            texts = {part.key: part.describe() for found in parts.values() for part in found}
            entries = {
                key: Entry(max(_SMALLEST, float(ms)), 0, texts[key]) for key, ms in zip(keys, fitted, strict=True)
            }
        correction = None
        if fit and self.table.correction is None:
            times = {key: entry.ms for key, entry in entries.items()} | known
            totals = [sum(times[part.key] for part in parts[i]) for i in measured]
            correction = fit_correction(totals, list(measured.values()), "fitted")
        self.table.add(entries, correction)
        return failures

    def _whole(self, candidates: Sequence[Candidate], thorough: bool) -> list[float | Exception]:
        """Measures whole networks that the table does not know, in groups, and keeps each group at once.

        The first network is measured again with every later group: its times tell how fast the machine is by then.
        """
        results: dict[int, float | Exception] = {}
        todo: list[int] = []
        for i, candidate in enumerate(candidates):
            known = self.table.networks.get(_name(candidate))
            if known is None:
                todo.append(i)
            else:
                results[i] = known
        repeats = (_THOROUGH if thorough else 1) * self._repeats
        for start in range(0, len(todo), _GROUP):
            group = todo[start : start + _GROUP]
            reference = self.table.networks.get(_name(candidates[0]))
            linked = [candidates[0]] if reference is not None else []
            measured = self._measure_whole([*linked, *(candidates[i] for i in group)], repeats)
            factor = 1.0
            if reference is not None:
                again = measured.pop(0)
                factor = 1.0 if isinstance(again, Exception) else reference / again
            found = [ms if isinstance(ms, Exception) else factor * ms for ms in measured]
            results.update(zip(group, found, strict=True))
            names = [_name(candidates[i]) for i in group]
            self.table.add(
                {}, networks={n: ms for n, ms in zip(names, found, strict=True) if n and not isinstance(ms, Exception)}
            )
        return [results[i] for i in range(len(candidates))]

    def _eager(self, candidates: Mapping[int, Candidate], parts: Mapping[int, Sequence[Part]]) -> dict[str, float]:
        sessions = [self._session(Eager(), candidate, parts[i]) for i, candidate in candidates.items()]
        with steady_machine(self._threads):
            results = interleaved_parts(sessions, repeats=5, warmup=1, budget=1.0)
        samples: list[Inside] = []
        for result in results:
            if isinstance(result, Exception):
                raise AutomlError(f"a network that was measured elsewhere does not run here: {result}") from result
            samples.append(result)
        times: dict[str, list[float]] = {}
        for i, medians in zip(candidates, part_times(samples), strict=True):
            for part in parts[i]:
                times.setdefault(part.key, []).append(medians[part.path])
        return {key: max(1e-9, statistics.median(found)) for key, found in times.items()}

    def _session(self, runtime: Runtime, candidate: Candidate, parts: Sequence[Part]) -> PartSession:
        session = runtime.prepare_parts(
            candidate.model,
            candidate.example_inputs(self._batch_size),
            threads=self._threads,
            trace=candidate.trace,
            parts=list(dict.fromkeys(part.path for part in parts)),
        )
        assert session is not None, "asked only of runtimes that look inside"
        return session

    def _known(self) -> dict[str, float]:
        return {key: entry.ms for key, entry in self.table.entries.items()}

    def _refusal(self, candidate: Candidate, missing: Sequence[Part]) -> str:
        architecture: Mapping[str, Any] = candidate.architecture or {}
        name = _name(candidate) or "the network"
        todo = (
            f"'automl latency profile SPACE --runtime {self._runtime.name}' with the same data, threads and batch size"
        )
        if not missing:
            return f"{name}: the latency table has no correction yet; {todo} measures whole networks and fits it."
        shown = "; ".join(part.describe(architecture) for part in missing[:3])
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        return (
            f"{name}: latency is not predicted beyond what was profiled, and the table lacks {shown}{more}. {todo} times "
            "these blocks."
        )


def _name(candidate: Candidate) -> str:
    return candidate.architecture.id if candidate.architecture is not None else ""
