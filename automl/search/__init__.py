"""Search: searchers and their contract, fronts, the ledger, and the loop that drives them. Knows no network, no torch."""

from automl.search.aging import Aging
from automl.search.bayes import Bayes
from automl.search.driver import Evaluate, History, run_search
from automl.search.evolution import Evolution
from automl.search.frontier import Frontier
from automl.search.hypervolume import hypervolume
from automl.search.ledger import Ledger
from automl.search.local import Local
from automl.search.measurement import Measurement, Outcome
from automl.search.optuna_adapter import OptunaSampler
from automl.search.pareto import crowding, knee, nondominated_sort, pareto_front
from automl.search.random import Random
from automl.search.remeasured import Remeasured, remeasured_front
from automl.search.searcher import Searcher
from automl.search.stopping import Ending, Patience, StoppingRule, TimeBudget, TrialBudget
from automl.search.unseen import Unseen
from automl.search.warm_start import initial_architectures, read_earlier_search, transferred

__all__ = [
    "Aging",
    "Bayes",
    "Ending",
    "Evaluate",
    "Evolution",
    "Frontier",
    "History",
    "Ledger",
    "Local",
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
    "initial_architectures",
    "knee",
    "nondominated_sort",
    "pareto_front",
    "read_earlier_search",
    "remeasured_front",
    "run_search",
    "transferred",
]
