"""Search: searchers and their contract, fronts, the ledger, and the loop that drives them. Knows no network, no torch."""

from automl.search.driver import Evaluate, run_search
from automl.search.evolution import Evolution
from automl.search.hypervolume import hypervolume
from automl.search.ledger import Ledger
from automl.search.measurement import Measurement, Outcome
from automl.search.optuna_adapter import OptunaSampler
from automl.search.pareto import crowding, knee, nondominated_sort, pareto_front
from automl.search.random import Random
from automl.search.searcher import Searcher
from automl.search.unseen import Unseen

__all__ = [
    "Evaluate",
    "Evolution",
    "Ledger",
    "Measurement",
    "OptunaSampler",
    "Outcome",
    "Random",
    "Searcher",
    "Unseen",
    "crowding",
    "hypervolume",
    "knee",
    "nondominated_sort",
    "pareto_front",
    "run_search",
]
