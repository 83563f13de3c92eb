"""Any sampler of Optuna as a searcher."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import optuna
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from automl.errors import ConfigError, MissingExtraError
from automl.search.call_log import CallLog
from automl.search.measurement import Measurement
from automl.search.quiet import quiet_optuna
from automl.search.sampler_kinds import sampler_kind
from automl.search.searcher import Searcher
from automl.search.state_file import reading_state
from automl.search.unseen import Unseen
from automl.space import Architecture, SearchSpace

__all__ = ["OptunaSampler"]

_FAILED: Final = -1
_STUDY: Final = "search"


class OptunaSampler(Searcher):
    """Runs a sampler of Optuna on a study in memory; conditional dimensions are suggested parents first.

    Optuna's samplers may propose a network twice. A duplicate of a measured one is answered from memory, so the sampler
    learns from it and no evaluation is spent; after ``attempts`` duplicates in a row a random new architecture is
    enqueued as the sampler's next trial. Violations reach the sampler as Optuna's constraints. A sampler that has no
    notion of them and one objective (``CmaEsSampler``) is told the worst value so far plus the sum of the violations.

    A sampler must go on exactly after a restart. One without memory is renewed for each trial, seeded by the search's seed
    and the number of the trial, and needs its study only, which is rebuilt from the history. One that keeps notes in
    its study (evolution, CMA-ES, quasi-random, grids) is replayed: everything it was asked and told once more, which costs
    as much time as it took the first time, without the evaluations.

    Args:
        space: the search space.
        objectives: number of objectives, all minimised.
        seed: seed of all draws.
        sampler: name of a class in ``optuna.samplers``.
        options: keyword arguments of the sampler (see ``sampler_kind``).
        attempts: proposals of one architecture that may be duplicates before a random one is taken, at least 1.

    Raises:
        UnknownNameError: there is no such sampler.
        ConfigError: an option is unknown or unusable, or the sampler cannot do this search.
        MissingExtraError: the sampler needs a package that is not installed.

    Source:
        Akiba et al. 2019, "Optuna: a next-generation hyperparameter optimization framework", arXiv:1907.10902.

    Example:
        >>> from automl.space import Ordinal
        >>> space = SearchSpace.build({"depth": Ordinal(1, 2, 3), "width": Ordinal(8, 16, 32)})
        >>> searcher = OptunaSampler(space, objectives=2, seed=0, sampler="NSGAIISampler", options={"population_size": 20})
        >>> len(searcher.ask(4))
        4
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        objectives: int,
        seed: int,
        sampler: str = "TPESampler",
        options: Mapping[str, Any] | None = None,
        attempts: int = 4,
    ) -> None:
        if attempts < 1:
            raise ConfigError(f"searcher optuna: attempts is {attempts}; it must be at least 1.")
        self._space: Final = space
        self._objectives: Final = objectives
        self._seed: Final = seed
        self._attempts: Final = attempts
        self._kind: Final = sampler_kind(sampler, options or {}, space, objectives)
        self._distributions: Final = space.distributions()
        self._start()

    def _start(self) -> None:
        self._unseen = Unseen(self._space, self._kind.only)
        self._storage = InMemoryStorage()
        with quiet_optuna():
            self._study = optuna.create_study(
                study_name=_STUDY,
                storage=self._storage,
                directions=["minimize"] * self._objectives,
                sampler=self._kind.make(self._seed_of(-1)),
            )
        self._outstanding: dict[Architecture, int] = {}  # number of the trial
        self._measured: dict[Architecture, int] = {}  # position in the history
        self._history: list[Measurement] = []
        self._trials: list[int] = []  # position in the history of what each trial measured
        self._log = CallLog()
        self._strangers = 0
        self._given_up = False

    def ask(self, n: int) -> list[Architecture]:
        asked: list[Architecture] = []
        with quiet_optuna():
            while len(asked) < n and (architecture := self._propose()) is not None:
                asked.append(architecture)
        self._log.note(asked=len(asked))
        return asked

    def tell(self, results: Sequence[Measurement]) -> None:
        with quiet_optuna():
            for result in results:
                self._hear(result)
        self._log.note(told=len(results))

    def state(self) -> dict[str, Any]:
        return {
            "rounds": self._log.state(),
            "strangers": self._strangers,
            "given_up": self._given_up,
            "outstanding": [
                {"trial": number, "architecture": dict(architecture), "notes": self._frozen(number).system_attrs}
                for architecture, number in self._outstanding.items()
                if self._kind.memoryless
            ],
            "trials": _as_ranges(self._trials) if self._kind.memoryless else [],
        }

    def restore(self, state: dict[str, Any], history: Sequence[Measurement]) -> None:
        with reading_state(f"optuna:{self._kind.name}"), quiet_optuna():
            if self._kind.memoryless:
                self._rebuild(state, history)
            else:
                self._replay(state, history)
            self._given_up = bool(state["given_up"])

    # --- one architecture --------------------------------------------------------------------------------------------

    def _propose(self) -> Architecture | None:
        if self._given_up or self._unseen.exhausted:
            return None
        for _ in range(self._attempts):
            trial = self._next_trial()
            try:
                architecture = self._space.suggest(trial)
            except optuna.TrialPruned:
                self._finish(trial.number, None)  # a forbidden combination
                self._trials.append(_FAILED)
                continue
            if architecture in self._unseen:
                return self._take(architecture, trial.number)
            position = self._measured.get(architecture, _FAILED)
            self._finish(trial.number, self._history[position] if position != _FAILED else None)
            self._trials.append(position)
        rng = np.random.default_rng([self._seed, len(self._trials)])
        row = self._unseen.draw(rng, 1)
        if not len(row):
            self._given_up = True
            return None
        [architecture] = self._space.from_indices(row)
        self._study.enqueue_trial(dict(architecture))
        trial = self._next_trial()
        self._space.suggest(trial)
        return self._take(architecture, trial.number)

    def _next_trial(self) -> optuna.Trial:
        if self._kind.memoryless:
            self._study.sampler = self._kind.renewed(self._study.sampler, self._seed_of(len(self._trials)))
        try:
            return self._study.ask()
        except ImportError as error:
            raise MissingExtraError(
                f"searcher optuna: {self._kind.name} needs a package that is not installed ({error}). Install it with: "
                "pip install 'automl-supernets[samplers]'"
            ) from error

    def _take(self, architecture: Architecture, trial: int) -> Architecture:
        self._unseen.add([architecture])
        self._outstanding[architecture] = trial
        self._trials.append(_FAILED)  # until it is told
        return architecture

    def _hear(self, result: Measurement) -> None:
        position = len(self._history)
        self._history.append(result)
        self._measured[result.architecture] = position
        trial = self._outstanding.pop(result.architecture, None)
        if trial is None:
            self._strangers += 1
            self._unseen.add([result.architecture])
            self._study.add_trial(self._finished(result))
            self._trials.append(position)
        else:
            self._finish(trial, result)
            self._trials[trial] = position

    def _finish(self, trial: int, result: Measurement | None) -> None:
        values = None if result is None else self._told_values(result)
        if values is not None and result is not None and result.violations and not self._ignores_constraints:
            study_id = self._storage.get_study_id_from_name(_STUDY)
            trial_id = self._storage.get_trial_id_from_study_id_trial_number(study_id, trial)
            self._storage.set_trial_system_attr(trial_id, "constraints", list(result.violations))
        try:
            self._study.tell(trial, values, state=TrialState.FAIL if values is None else TrialState.COMPLETE)
        except RuntimeError:
            # Grids and exhaustive samplers stop the study after their last point, which only `optimize` can do. The trial
            # is finished by then, and whether anything is left is decided here.
            if not self._frozen(trial).state.is_finished():
                raise

    @property
    def _ignores_constraints(self) -> bool:
        return self._kind.name == "CmaEsSampler"

    def _told_values(self, result: Measurement) -> list[float] | None:
        if result.values is None:
            return None
        if self._ignores_constraints and not result.feasible:
            told = [
                m.values[0] for m in self._history[: self._measured[result.architecture] + 1] if m.values is not None
            ]
            return [max(told) + sum(result.violations)]
        return list(result.values)

    def _frozen(self, trial: int) -> FrozenTrial:
        return self._study.get_trials(deepcopy=False)[trial]

    def _finished(self, result: Measurement) -> FrozenTrial:
        values = self._told_values(result)
        constraints = {"constraints": list(result.violations)} if result.violations else {}
        return create_trial(
            state=TrialState.FAIL if values is None else TrialState.COMPLETE,
            values=values,
            params=dict(result.architecture),
            distributions={name: self._distributions[name] for name in result.architecture},
            system_attrs={} if self._ignores_constraints else constraints,
        )

    def _seed_of(self, trial: int) -> int:
        """A seed for ``numpy.random.RandomState``, unrelated between neighbours."""
        return int(np.random.SeedSequence([self._seed, trial + 1]).generate_state(1)[0])

    # --- going on after a restart ------------------------------------------------------------------------------------

    def _replay(self, state: dict[str, Any], history: Sequence[Measurement]) -> None:
        CallLog.replay(state["rounds"], history, ask=self.ask, tell=self.tell)
        if self._strangers != state["strangers"]:
            # Another version of Optuna asks otherwise. What was measured still counts.
            self._start()
            self.tell(history)

    def _rebuild(self, state: dict[str, Any], history: Sequence[Measurement]) -> None:
        self._history = list(history)
        self._measured = {result.architecture: position for position, result in enumerate(history)}
        self._unseen.add(list(self._measured))
        asked = {entry["trial"]: entry for entry in state["outstanding"]}
        for number, position in enumerate(_from_ranges(state["trials"])):
            if number in asked:
                architecture = self._space.architecture(asked[number]["architecture"])
                self._unseen.add([architecture])
                self._outstanding[architecture] = number
                trial = create_trial(
                    state=TrialState.RUNNING,
                    params=dict(architecture),
                    distributions={name: self._distributions[name] for name in architecture},
                    system_attrs=asked[number]["notes"],
                )
            elif position == _FAILED:
                trial = create_trial(state=TrialState.FAIL)
            else:
                trial = self._finished(history[position])
            self._study.add_trial(trial)
            self._trials.append(position)
        self._log = CallLog(state["rounds"])
        self._strangers = state["strangers"]


def _as_ranges(positions: Sequence[int]) -> list[list[int]]:
    """Runs of consecutive numbers as pairs of first and length; a search without duplicates is one run."""
    ranges: list[list[int]] = []
    for position in positions:
        if ranges and position == ranges[-1][0] + ranges[-1][1] and position != _FAILED:
            ranges[-1][1] += 1
        else:
            ranges.append([position, 1])
    return ranges


def _from_ranges(ranges: Sequence[Sequence[int]]) -> list[int]:
    return [first + offset for first, length in ranges for offset in range(length)]
