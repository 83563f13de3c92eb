"""Predictors: cheap models of measured quantities, chosen by how well they rank what they have not seen."""

from automl.search.predictors.boosting import Boosting
from automl.search.predictors.feasibility import Feasibility
from automl.search.predictors.features import Costs, Features
from automl.search.predictors.gaussian_process import GaussianProcess
from automl.search.predictors.predictor import Predictor
from automl.search.predictors.ridge import Ridge
from automl.search.predictors.scale import Scale
from automl.search.predictors.selection import KINDS, Committee, Score, choose, rank_correlation
from automl.search.predictors.size_only import SizeOnly

__all__ = [
    "KINDS",
    "Boosting",
    "Committee",
    "Costs",
    "Feasibility",
    "Features",
    "GaussianProcess",
    "Predictor",
    "Ridge",
    "Scale",
    "Score",
    "SizeOnly",
    "choose",
    "rank_correlation",
]
