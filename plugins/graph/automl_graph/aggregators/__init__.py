"""Aggregators: from the messages of each destination to one vector. ``AGGREGATORS`` names them; one line adds another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from torch import nn

from automl.elastic import Choice
from automl.space import SizeLike
from automl_graph.aggregators.exact import ExactAggregator
from automl_graph.aggregators.fixed import FixedAggregator
from automl_graph.aggregators.lcm import LCMAggregator
from automl_graph.aggregators.recurrent import RecurrentAggregator
from automl_graph.options import choices_of, require_choice, require_number

__all__ = [
    "AGGREGATORS",
    "ExactAggregator",
    "FixedAggregator",
    "LCMAggregator",
    "RecurrentAggregator",
    "build_aggregator",
]

REGULARISATION: Final = 0.1

AGGREGATORS: Final[Mapping[str, Callable[..., nn.Module]]] = {
    "sum": lambda width, **_: FixedAggregator("sum"),
    "mean": lambda width, **_: FixedAggregator("mean"),
    "max": lambda width, **_: FixedAggregator("max"),
    "gru": lambda width, max_messages, **_: RecurrentAggregator(width, max_messages=max_messages),
    "gru_reg": lambda width, max_messages, regularisation, **_: RecurrentAggregator(
        width, max_messages=max_messages, commutativity=regularisation
    ),
    "lcm": lambda width, max_messages, cell, tree, **_: LCMAggregator(
        width, max_messages=max_messages, cell=cell, tree=tree
    ),
    "lcm_exact": lambda width, **_: ExactAggregator(width),
    "lcm_reg": lambda width, max_messages, cell, tree, regularisation: LCMAggregator(
        width, max_messages=max_messages, cell=cell, tree=tree, associativity=regularisation
    ),
}


def build_aggregator(
    option: str,
    names: str | Sequence[str],
    width: SizeLike,
    *,
    max_messages: int,
    cell: str = "gru",
    tree: str = "balanced",
    regularisation: float = REGULARISATION,
) -> nn.Module:
    """Returns an aggregator, or a choice of several, each with weights of its own.

    Args:
        option: name of the option that named them, for messages.
        names: one or several of ``AGGREGATORS``.
        width: width of the messages, in features.
        max_messages: messages of one destination that learned aggregators take at most.
        cell: cell of learned operators.
        tree: how learned operators are folded.
        regularisation: weight of the training losses of ``gru_reg`` and ``lcm_reg``.

    Raises:
        SpaceError: there is no such aggregator, or the limit is no whole number from 1.
    """
    require_choice(option, names, AGGREGATORS)
    require_number(f"limit of {option}", max_messages, smallest=1)
    options = {"max_messages": max_messages, "cell": cell, "tree": tree, "regularisation": regularisation}
    built = {name: AGGREGATORS[name](width, **options) for name in choices_of(names)}
    return next(iter(built.values())) if len(built) == 1 else Choice(built)
