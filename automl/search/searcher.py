"""The contract of search algorithms."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypeAlias

from automl.search.measurement import Measurement
from automl.space import Architecture

__all__ = ["EarlyHistory", "Searcher"]

EarlyHistory: TypeAlias = Mapping[int, Sequence[Measurement]]
"""What was measured with unfinished weights: by the number of the epoch, from 1, in increasing order."""


class Searcher(ABC):
    """A search algorithm over a ``SearchSpace``: proposes architectures and learns from their measurements.

    It knows the space and the measurements, never a network, a data set or a clock. Who runs it calls, in this order::

        searcher = Kind(space, objectives=2, seed=7, **options)
        searcher.restore(state, history)              # only to go on where an earlier one stopped
        while architectures := searcher.ask(n):
            searcher.promote(measurements)            # on a share of the samples; only if they are measured in rungs
            searcher.tell(measurements)               # of some or all of those asked so far, in any order
            state = searcher.state()

    Implementations are final classes with their own ``__init__``; it takes the space, ``objectives`` (how many values a
    measurement has, at least 1, all minimised), ``seed``, and each of its options as a keyword with a default. It raises
    ``ConfigError`` for an option it cannot use, ``UnknownNameError`` for an unknown name. Constructing asks nothing.

    Two searchers with equal arguments that hear equal calls answer equally, in every process: all randomness comes from
    generators seeded by ``seed``; nothing depends on time, object identity or the order of a set.

    Attributes:
        learns: proposals follow the measurements; false for yardsticks such as random search.
    """

    learns: ClassVar[bool] = True

    @abstractmethod
    def ask(self, n: int) -> list[Architecture]:
        """Returns the next architectures to measure: at least one, at most ``n``.

        Each is canonical, allowed, and different from everything this searcher has asked or been told before. An empty
        list means that there is none left, and then it stays empty. Measurements may be outstanding: a
        searcher that would rather wait for them returns fewer than ``n``, and none only if the space is exhausted.

        Args:
            n: largest number wanted, at least 1. How a run is cut into groups may change what is asked.
        """

    @abstractmethod
    def tell(self, results: Sequence[Measurement]) -> None:
        """Learns from measurements, each told once.

        Failures (``values is None``), infeasible ones (a violation above 0) and estimates of candidates that were stopped
        early (``complete`` is false) are told like all others and are never asked again. Measurements that were not asked
        for are welcome: earlier runs, anchors, other searchers.

        Args:
            results: measurements in the order in which they were recorded.
        """

    def promote(self, partial: Sequence[Measurement]) -> Sequence[bool] | None:
        """Says which candidates go on to more validation samples, where measuring them takes several rungs.

        Called after each rung but the last, between ``ask`` and ``tell``, for the candidates of one group that are left;
        the others are told with what was estimated so far (``Measurement.complete`` is false). Does not change what
        ``state`` returns. The answer for a candidate follows from what was *told* and from its own measurement, not from the
        others in ``partial``, since an interrupted group is continued without those that were already recorded.

        Args:
            partial: measurements on the samples seen so far, not recorded; ``fidelity`` is the share of samples. All of
                one call have the same.

        Returns:
            One truth value for each. None, the default, has no opinion; the run then stops those that are dominated with
            confidence (``automl.search.racing``).
        """
        return None

    def ask_early(self, epoch: int, epochs: int, history: EarlyHistory) -> list[Architecture]:
        """Returns what to measure with the weights of a network that is still in training; nothing by default.

        Called after each epoch of a training, if the searcher is for a supernet that is trained in the same job. What is
        asked here is never told: values of unfinished weights are not comparable with those of the search. They come
        back in ``history``, from which, the arguments and the options of the searcher alone the answer follows. So no call
        changes anything, and none is missing after an interruption.

        Args:
            epoch: number of the epoch that has just ended, from 1.
            epochs: number of epochs in total.
            history: measurements after earlier epochs.

        Returns:
            Canonical, allowed, different architectures. They may be in ``history``, and ``ask`` may ask for them again.
        """
        return []

    def ask_first(self, history: EarlyHistory) -> list[Architecture]:
        """Returns what to measure before anything that ``ask`` returns, after what was learnt early; nothing by default.

        Called once between training and search, if anything was measured early; changes nothing. The results are told
        as measurements that were not asked for.

        Args:
            history: all early measurements.

        Returns:
            Canonical, allowed, different architectures, the most promising first.
        """
        return []

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """Returns, as JSON values, what ``restore`` needs besides the history.

        It is written after every ``tell``, so its size should not grow with the history where that can be avoided.
        """

    @abstractmethod
    def restore(self, state: dict[str, Any], history: Sequence[Measurement]) -> None:
        """Goes on where another searcher with the same arguments stopped; called once, before anything else.

        Afterwards this searcher answers every call as that one would have. Architectures that were asked and not yet told
        stay outstanding.

        Args:
            state: what ``state()`` returned, after a round trip through JSON.
            history: everything told before that, in the order of telling.

        Raises:
            RunError: the state is malformed or does not belong to this history.
        """
