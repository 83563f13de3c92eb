"""Which graphs train, validate and test: by shares or by ten-fold cross-validation, then thinned out by a scenario."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import StratifiedKFold

from automl.errors import DataError
from automl.tasks import stratified_split
from automl_graph.data.graph_collection import GraphCollection
from automl_graph.tasks.graph_options import GraphOptions
from automl_graph.tasks.scenarios import few_shot, imbalance, target_groups

__all__ = ["split_graphs"]

_FOLDS = 10


def split_graphs(data: GraphCollection, options: GraphOptions, seed: int) -> dict[str, list[int]]:
    """Returns sorted numbers of the graphs of each part.

    Args:
        data: the graphs; values are split by bins.
        options: shares or fold, and the scenario of the training part.
        seed: decides shares and scenarios; folds are the same for all seeds.

    Raises:
        DataError: a class has too few graphs.
    """
    groups = target_groups(data.y)
    if options.fold is None:
        names = data.class_names or None
        split = stratified_split(
            groups, seed=seed, validation=options.validation, test=options.test, names=names, where=data.name
        )
    else:
        folds = data.fold if data.fold is not None else _drawn_folds(groups, data.name)
        validating = (options.fold + 1) % _FOLDS
        split = {
            "train": np.flatnonzero((folds >= 0) & (folds != options.fold) & (folds != validating)).tolist(),
            "validation": np.flatnonzero(folds == validating).tolist(),
            "test": np.flatnonzero(folds == options.fold).tolist(),
        }
    if options.imbalance > 1:
        split["train"] = imbalance(split["train"], groups, options.imbalance, seed)
    if options.few_shot is not None:
        split["train"] = few_shot(split["train"], groups, options.few_shot, seed, data.name)
    return split


def _drawn_folds(groups: npt.NDArray[np.int64], where: str) -> npt.NDArray[np.int64]:
    smallest = int(np.bincount(groups).min())
    if smallest < _FOLDS:
        raise DataError(f"{where}: a class has {smallest} graphs; ten folds need at least {_FOLDS} of each.")
    folds = np.zeros(len(groups), dtype=np.int64)
    for number, (_, rows) in enumerate(StratifiedKFold(_FOLDS, shuffle=True, random_state=0).split(groups, groups)):
        folds[rows] = number
    return folds
