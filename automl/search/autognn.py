"""Reinforced conservative search: small steps from the best, where the controllers are least certain (Auto-GNN)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from automl.errors import ConfigError, UnknownNameError
from automl.search.call_log import CallLog
from automl.search.dimension_classes import dimension_classes
from automl.search.front_reward import FAILED, FrontReward
from automl.search.measurement import Measurement
from automl.search.pending import Pending
from automl.search.searcher import Searcher
from automl.search.state_file import reading_state
from automl.search.unseen import IndexMatrix, IndexRow
from automl.space import Architecture, SearchSpace

if TYPE_CHECKING:
    from automl.search.class_controllers import ClassControllers, Proposal

__all__ = ["AutoGNN"]

_GUIDES: Final = ("sample", "argmax")
_WRITINGS: Final = 4
_MUTANTS: Final = 16


class _Action(NamedTuple):
    """What was done to get a candidate."""

    context: IndexRow
    acting: tuple[int, ...]


class AutoGNN(Searcher):
    """Conservative exploration by one controller for each class of dimensions, for any space and number of objectives.

    A class is a kind of choice, such as the number of heads in every layer. For each proposal every class is rewritten by its
    LSTM on top of the best candidate; the class whose distributions are most uncertain most probably gets its way, so that
    only choices of that class differ from the best. Its reward then says something about this class alone, and REINFORCE
    trains its controller only. With several objectives the best is a random member of the front, and the reward is the signed
    distance from the front (``FrontReward``).

    Nothing is asked twice: what the controllers repeat, or what the space forbids, teaches them at once without a
    measurement; after four such writings the class is drawn at random, and
    where all of it was seen, another. Random candidates come first.

    Args:
        space: the search space.
        objectives: number of objectives, all minimised.
        seed: seed of all draws and of the controllers' weights.
        starts: random candidates at the start, at least 1.
        classes: patterns of the names of each class, see ``dimension_classes``; by default a class is the last part of a
            name. A kind of component is a pattern such as ``*.graph_gat.*``.
        classes_per_step: classes that change in a step; as many as there are resample everything.
        guide: ``sample`` draws a class with a probability proportional to ``exp(entropy / guide_temperature)``, ``argmax``
            takes the most uncertain.
        guide_temperature: above 0; the smaller, the more ``sample`` is like ``argmax``.
        hidden: width of the LSTMs.
        learning_rate: of the controllers.
        temperature: divides the logits of the controllers.
        tanh_constant: bounds them.
        entropy_weight: how much the entropy of the distributions counts beside the reward.
        baseline_decay: share of the moving average of rewards that a new one leaves, at least 0 and below 1.

    Raises:
        ConfigError: an option is out of its range, or a pattern matches nothing.
        UnknownNameError: there is no such guide.

    Source:
        Zhou, Song, Huang, Hu 2019, "Auto-GNN: neural architecture search of graph neural networks", arXiv:1909.03184,
        section 4. Deviations: no repetitions; several objectives and constraints; rewards are in standard deviations, and
        learning rate and baseline are those of small budgets (3.5e-4 and 0.999 in a public re-implementation).

    Example:
        >>> from automl.space import Ordinal
        >>> space = SearchSpace.build({"a.width": Ordinal(8, 16), "b.width": Ordinal(8, 16), "a.heads": Ordinal(1, 2)})
        >>> searcher = AutoGNN(space, objectives=1, seed=0, starts=1)
        >>> len(searcher.ask(2))
        2
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        objectives: int,
        seed: int,
        starts: int = 10,
        classes: Mapping[str, str | Sequence[str]] | None = None,
        classes_per_step: int = 1,
        guide: Literal["sample", "argmax"] = "sample",
        guide_temperature: float = 1.0,
        hidden: int = 100,
        learning_rate: float = 3.5e-3,
        temperature: float = 5.0,
        tanh_constant: float = 2.5,
        entropy_weight: float = 1e-4,
        baseline_decay: float = 0.9,
    ) -> None:
        for name, whole in (("starts", starts), ("classes_per_step", classes_per_step), ("hidden", hidden)):
            if isinstance(whole, bool) or not isinstance(whole, int) or whole < 1:
                raise ConfigError(f"autognn: {name} is {whole!r}; it must be a whole number of at least 1.")
        positive = {
            "guide_temperature": guide_temperature,
            "learning_rate": learning_rate,
            "temperature": temperature,
            "tanh_constant": tanh_constant,
        }
        for name, value in positive.items():
            if not value > 0:
                raise ConfigError(f"autognn: {name} is {value}; it must be above 0.")
        if not entropy_weight >= 0:
            raise ConfigError(f"autognn: entropy_weight is {entropy_weight}; it must be at least 0.")
        if not 0 <= baseline_decay < 1:
            raise ConfigError(f"autognn: baseline_decay is {baseline_decay}; it must be at least 0 and below 1.")
        if guide not in _GUIDES:
            raise UnknownNameError("guide of the searcher autognn", guide, _GUIDES)
        try:
            self.classes: Final = dimension_classes(space.names, classes)
        except ConfigError as error:
            raise ConfigError(f"autognn: {error}") from error
        self._members: Final = list(self.classes.values())
        self._space: Final = space
        self._seed: Final = seed
        self._starts: Final = starts
        self._changed: Final = classes_per_step
        self._guide: Final = guide
        self._guide_temperature: Final = guide_temperature
        self._decay: Final = baseline_decay
        self._hidden: Final = hidden
        self._controller_options: Final = {
            "learning_rate": learning_rate,
            "temperature": temperature,
            "tanh_constant": tanh_constant,
            "entropy_weight": entropy_weight,
        }
        self._start()

    def _start(self) -> None:
        # Imported here: it needs torch, and who searches otherwise must not pay for that.
        from automl.search.class_controllers import ClassControllers

        self._rng = np.random.default_rng(self._seed)
        self._pending = Pending(self._space)
        self._log = CallLog()
        self._told = 0
        self._left = self._starts
        self._front = FrontReward()
        self._results: dict[bytes, Measurement] = {}
        self._actions: dict[bytes, _Action] = {}
        self._baseline: float | None = None
        self._controllers: ClassControllers = ClassControllers(
            self._space.structure,
            self._members,
            hidden=self._hidden,
            seed=self._seed,
            **self._controller_options,
        )

    def ask(self, n: int) -> list[Architecture]:
        asked: list[Architecture] = []
        while len(asked) < n:
            if self._left > 0 or not self._front.members:
                row = self._pending.unseen.draw(self._rng, 1)
                self._left -= len(row)
            else:
                row = self._step()
            if not len(row):
                break
            self._pending.put(row)
            asked += self._pending.take(1)
        self._log.note(asked=len(asked))
        return asked

    def tell(self, results: Sequence[Measurement]) -> None:
        for result in results:
            if not self._pending.awaits(result.architecture):
                self._left = max(0, self._left - 1)
            row = self._pending.hear(result.architecture)
            self._results[row.tobytes()] = result
            reward = self._front.hear(row, result)
            action = self._actions.pop(row.tobytes(), None)
            if action is not None:
                self._learn(action, row, reward)
        self._told += len(results)
        self._log.note(told=len(results))

    def state(self) -> dict[str, Any]:
        return {"told": self._told, "rounds": self._log.state(), "outstanding": self._pending.state()["outstanding"]}

    def restore(self, state: dict[str, Any], history: Sequence[Measurement]) -> None:
        with reading_state("autognn", state, history):
            outstanding = state["outstanding"]
            CallLog.replay(state["rounds"], history, ask=self.ask, tell=self.tell)
        if self._pending.state()["outstanding"] != outstanding:
            # Another version of torch rounds otherwise, and so asks otherwise. What was measured still counts.
            self._start()
            self.tell(history)

    def _step(self) -> IndexMatrix:
        """One unseen architecture a small step away from the best, or none if all were seen."""
        members = self._front.members
        context = members[int(self._rng.integers(len(members))) if len(members) > 1 else 0].row
        acting: tuple[int, ...] = ()
        for _ in range(_WRITINGS):
            proposal, acting = self._propose(context)
            row = proposal.row[None]
            if self._pending.unseen.new(row)[0]:
                self._actions[proposal.row.tobytes()] = _Action(context, acting)
                return row
            self._learn_at_once(_Action(context, acting), proposal.row)
        for number in (acting, *((int(n),) for n in self._rng.permutation(len(self.classes)))):
            rows = self._mutants(context, number)
            if len(rows):
                return rows[:1]
        return self._pending.unseen.draw(self._rng, 1)

    def _mutants(self, context: IndexRow, classes: Sequence[int]) -> IndexMatrix:
        """Unseen architectures with some classes drawn at random."""
        rows = np.repeat(context[None], _MUTANTS, axis=0)
        rows[:, [d for number in classes for d in self._members[number]]] = -1
        rows = self._space.canonical_indices(rows, self._rng)
        return rows[self._pending.unseen.new(rows)]

    def _propose(self, context: IndexRow) -> tuple[Proposal, tuple[int, ...]]:
        count = len(self.classes)
        if self._changed >= count:
            everything = tuple(range(count))
            return self._controllers.propose(context, everything, self._rng), everything
        written = [self._controllers.propose(context, (number,), self._rng) for number in range(count)]
        acting = self.guided(np.array([p.entropies[number] for number, p in enumerate(written)]))
        if len(acting) == 1:
            return written[acting[0]], acting
        return self._controllers.propose(context, acting, self._rng), acting

    def guided(self, entropies: npt.NDArray[np.float64]) -> tuple[int, ...]:
        """Returns the classes to change, by the entropies of all classes, ``(classes,)``; advances the generator."""
        keys = entropies / self._guide_temperature
        if self._guide == "sample":
            # The largest of these sums are draws without repetition with probabilities proportional to exp(keys).
            keys = keys + self._rng.gumbel(size=len(keys))
        # A class that had nothing to choose would repeat the best.
        keys = np.where(entropies > 0, keys, -np.inf)
        return tuple(sorted(np.argsort(-keys, kind="stable")[: self._changed].tolist()))

    def _learn(self, action: _Action, row: IndexRow, reward: float) -> None:
        baseline = reward if self._baseline is None else self._baseline
        self._controllers.reinforce(action.context, action.acting, row, reward - baseline)
        self._baseline = self._decay * baseline + (1 - self._decay) * reward

    def _learn_at_once(self, action: _Action, row: IndexRow) -> None:
        """Learns from what need not be measured: repetitions of what was, and forbidden combinations."""
        if (known := self._results.get(row.tobytes())) is not None:
            self._learn(action, row, self._front.reward(known))
        elif not self._space.allowed_indices(row[None])[0]:
            self._learn(action, row, FAILED)
