"""Search: searchers and their contract, fronts, the ledger, and the loop that drives them. Knows no network, no torch."""

from automl.search.driver import Evaluate, History, run_search
from automl.search.evolution import Evolution
from automl.search.frontier import Frontier
from automl.search.hypervolume import hypervolume
from automl.search.ledger import Ledger
from automl.search.measurement import Measurement, Outcome
from automl.search.optuna_adapter import OptunaSampler
from automl.search.pareto import crowding, knee, nondominated_sort, pareto_front
from automl.search.random import Random
from automl.search.remeasured import Remeasured, remeasured_front
from automl.search.searcher import Searcher
from automl.search.stopping import Ending, Patience, StoppingRule, TimeBudget, TrialBudget
from automl.search.unseen import Unseen

__all__ = [
    "Ending",
    "Evaluate",
    "Evolution",
    "Frontier",
    "History",
    "Ledger",
    "Measurement",
    "OptunaSampler",
    "Outcome",
    "Patience",
    "Random",
    "Remeasured",
    "Searcher",
    "StoppingRule",
    "TimeBudget",
    "TrialBudget",
    "Unseen",
    "crowding",
    "hypervolume",
    "knee",
    "nondominated_sort",
    "pareto_front",
    "remeasured_front",
    "run_search",
]
