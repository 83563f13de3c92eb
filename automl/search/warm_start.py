"""What to measure first: the ends of a space, a set spread evenly over sizes, or the best of an earlier search.

The lists made here are measured before a searcher is asked for anything and told to it, so they help every searcher.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import optuna
from optuna.storages import JournalStorage

from automl.errors import ConfigError, RunError, SpaceError
from automl.search.journal import CREATE_TRIAL, JournalFile, read_operations
from automl.search.measurement import Measurement
from automl.search.quiet import quiet_optuna
from automl.search.survival import survivors, violation_matrix
from automl.search.trial_record import TrialRecords
from automl.search.unseen import IndexMatrix, Unseen
from automl.space import Architecture, Ordinal, SearchSpace

__all__ = [
    "Cost",
    "EarlierSearch",
    "Transfer",
    "ends",
    "initial_architectures",
    "read_earlier_search",
    "stratified",
    "transferred",
]

Cost: TypeAlias = Callable[[Architecture], float]
"""Analytic size of an architecture in any unit, such as parameters or multiply-accumulates; finite."""

_DRAWS_PER_STRATUM: Final = 32
_ATTRIBUTE: Final = "automl"


def ends(space: SearchSpace) -> list[Architecture]:
    """Returns the smallest and the largest architecture, or the only one."""
    return list(dict.fromkeys((space.smallest(), space.largest())))


def stratified(space: SearchSpace, n: int, *, seed: int, cost: Cost | None = None) -> list[Architecture]:
    """Returns up to ``n`` distinct architectures whose costs are spread evenly between those of the two ends.

    Plain random architectures crowd in the middle, since extremes of many dimensions rarely meet. Here each candidate has
    a level between 0 and 1 of its own, by which its ordinal dimensions are drawn, so candidates of every size occur. One is
    taken of each of ``n`` equally wide strata of cost: the one with the most kinds of network that were not taken before,
    of equals the one nearest to the middle. Kinds are the choices of categorical dimensions that others depend on, such as the
    family of a block; a kind that was never measured is one that a predictor knows nothing of.

    Args:
        space: the search space.
        n: number wanted; fewer are returned only where the space holds fewer.
        seed: seed of the draws.
        cost: analytic size; left out, the mean of the encoding, which grows with every ordinal dimension and with the
            number of active ones.

    Returns:
        Architectures from cheap to expensive.

    Raises:
        ConfigError: ``n`` is below 1.

    Example:
        >>> from automl.space import Ordinal
        >>> space = SearchSpace.build({f"width{i}": Ordinal(8, 16, 24) for i in range(10)})
        >>> [sum(a.values()) for a in stratified(space, 4, seed=0, cost=lambda a: sum(a.values()))]
        [96, 136, 184, 216]
    """
    if n < 1:
        raise ConfigError(f"warm start: {n} architectures are wanted; it must be at least 1.")
    rng = np.random.default_rng(seed)
    rows = _of_every_size(space, n * _DRAWS_PER_STRATUM, rng)
    candidates = space.from_indices(rows)
    bounds = _costs(space, ends(space), cost)
    costs = _costs(space, candidates, cost)
    low, high = min(bounds.min(), costs.min(initial=np.inf)), max(bounds.max(), costs.max(initial=-np.inf))
    wanted = min(n, len(candidates))
    half = (high - low) / (2 * n)
    kinds, worth = _kinds(space, rows)
    missing = kinds.any(axis=0)
    chosen: list[int] = []
    free = np.ones(len(candidates), dtype=np.bool_)
    for middle in low + (high - low) * (np.arange(wanted) + 0.5) / n:
        distance = np.where(free, np.abs(costs - middle), np.inf)
        # Outside the stratum the nearest is taken, whatever it is.
        new = np.where(distance <= half, (kinds & missing) @ worth, 0)
        best = int(np.lexsort((distance, -new, ~free))[0])
        free[best] = False
        missing &= ~kinds[best]
        chosen.append(best)
    chosen.sort(key=lambda position: (costs[position], position))
    return [candidates[position] for position in chosen]


def initial_architectures(space: SearchSpace, n: int, *, seed: int, cost: Cost | None = None) -> list[Architecture]:
    """Returns the smallest, the largest, and ``n - 2`` others that are spread evenly over sizes; see ``stratified``."""
    if n < 1:
        raise ConfigError(f"warm start: {n} architectures are wanted; it must be at least 1.")
    between = stratified(space, n, seed=seed, cost=cost)
    both = ends(space)
    inner = [architecture for architecture in between if architecture not in both]
    if len(inner) > max(0, n - len(both)):
        kept = np.linspace(0, len(inner) - 1, max(0, n - len(both))).round().astype(int)
        inner = [inner[position] for position in kept]
    return [*both, *inner][:n]


@dataclass(frozen=True)
class EarlierSearch:
    """What a ledger holds, read without knowing its space.

    Attributes:
        objectives: names of the objectives, as far as they are known.
        measurements: everything that was measured, in order.
    """

    objectives: tuple[str, ...]
    measurements: tuple[Measurement, ...]


def read_earlier_search(storage: str | Path, study_name: str | None = None) -> EarlierSearch:
    """Reads the ledger of an earlier search; neither locks nor changes it.

    Args:
        storage: a ledger file, a run folder, or an Optuna storage URL.
        study_name: which of several studies.

    Raises:
        RunError: there is no such ledger or study, or it was not written by a search of ours.
    """
    is_url = isinstance(storage, str) and "://" in storage
    path = Path() if is_url else Path(storage)
    if path.is_dir() and not is_url:
        path = path / "ledger.log"
    title = str(storage) if is_url else str(path)
    try:
        with quiet_optuna():
            place: Any = str(storage) if is_url else JournalStorage(JournalFile(path, writable=False))
            names = [study.study_name for study in optuna.get_all_study_summaries(place, include_best_trial=False)]
            if study_name is None and len(names) == 1:
                study_name = names[0]
            if study_name not in names:
                wanted = "one of several" if study_name is None else repr(study_name)
                raise RunError(f"{title}: no study {wanted}; there are: {', '.join(names) or 'none'}.")
            study = optuna.load_study(study_name=study_name, storage=place)
            records = TrialRecords()
            if is_url:
                measured = [records.from_trial(trial) for trial in study.get_trials(deepcopy=False)]
            else:
                operations = (operation for _, operation in read_operations(path, [CREATE_TRIAL]))
                own = (operation for operation in operations if operation["study_id"] == study._study_id)
                measured = [records.from_operation(operation, number) for number, operation in enumerate(own)]
            objectives = tuple(study.user_attrs[_ATTRIBUTE]["objectives"])
    except RunError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RunError(f"{title}: was not written by a search of automl: {error!r}.") from error
    except Exception as error:
        # Each database has its own errors for a wrong address, password or file; all of them are the user's to mend.
        raise RunError(f"{title}: cannot open the storage: {type(error).__name__}: {error}") from error
    return EarlierSearch(objectives, tuple(measured))


@dataclass(frozen=True)
class Transfer:
    """Architectures of an earlier search in the terms of another space.

    Attributes:
        architectures: the best ones that fit, best first.
        skipped: number of measured architectures that do not fit the space.
    """

    architectures: list[Architecture]
    skipped: int


def transferred(space: SearchSpace, measurements: Sequence[Measurement], n: int) -> Transfer:
    """Returns the best population of an earlier search, mapped to a space by the names of its dimensions.

    Best are feasible ones by Pareto rank, the lonelier ones of equals first, so the front comes first. Dimensions that
    this space does not have are left out; an architecture that lacks a dimension or has a value that is no choice here,
    or whose combination is forbidden, does not fit. Failed candidates are not considered.

    Args:
        space: the space to search next.
        measurements: what was measured, on another device, data set or space.
        n: size of the population, at least 1.

    Raises:
        ConfigError: ``n`` is below 1.
    """
    if n < 1:
        raise ConfigError(f"warm start: {n} architectures are wanted; it must be at least 1.")
    fitting: dict[Architecture, Measurement] = {}
    skipped = 0
    for measurement in measurements:
        if measurement.values is None:
            continue
        known = {name: value for name, value in measurement.architecture.items() if name in space.dimensions}
        try:
            fitting.setdefault(space.canonical(known), measurement)
        except SpaceError:
            skipped += 1
    if not fitting:
        return Transfer([], skipped)
    values = np.array([m.values for m in fitting.values()], dtype=np.float64)
    violations = violation_matrix([m.violations for m in fitting.values()])
    architectures = list(fitting)
    return Transfer([architectures[i] for i in survivors(values, violations, n).tolist()], skipped)


def _of_every_size(space: SearchSpace, n: int, rng: np.random.Generator) -> IndexMatrix:
    """Distinct allowed rows, drawn at levels between small and large; plainly random where these are not enough."""
    counts = np.array([len(d.choices) for d in space.dimensions.values()], dtype=np.int64)
    ordered = np.array([isinstance(d, Ordinal) for d in space.dimensions.values()], dtype=np.bool_)
    levels = np.broadcast_to(rng.random((n, 1)), (n, len(counts)))
    drawn = np.where(ordered, rng.binomial(counts - 1, levels), rng.integers(counts, size=(n, len(counts))))
    rows = space.canonical_indices(drawn, rng)
    unseen = Unseen(space)
    rows = rows[unseen.new(rows)]
    unseen.add_rows(rows)
    return np.concatenate([rows, unseen.draw(rng, n - len(rows))])


def _kinds(space: SearchSpace, rows: IndexMatrix) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """Returns which row has which choice of the categorical dimensions that others depend on, and how many depend on it."""
    columns, worth = [np.zeros((len(rows), 0), dtype=np.bool_)], []
    for i, (name, dimension) in enumerate(space.dimensions.items()):
        dependent = space.graph.out_degree(name)
        if dependent and not isinstance(dimension, Ordinal):
            columns.append(rows[:, i, None] == np.arange(len(dimension.choices)))
            worth += [dependent] * len(dimension.choices)
    return np.concatenate(columns, axis=1), np.array(worth, dtype=np.int64)


def _costs(space: SearchSpace, architectures: Sequence[Architecture], cost: Cost | None) -> npt.NDArray[np.float64]:
    if cost is not None:
        return np.array([float(cost(architecture)) for architecture in architectures])
    features = space.encode(architectures)
    return features.mean(axis=1) if features.shape[1] else np.zeros(len(architectures))
