"""Space reduction by population density: where a finished search gathered decides which choices are worth keeping.

Source:
    Sarah et al. 2022, "A hardware-aware system for accelerating deep neural network optimization", arXiv:2202.12954
    (population density-based search space reduction). Clusters: Campello, Moulavi, Sander 2013, "Density-based clustering
    based on hierarchical density estimates" (HDBSCAN), on the masked encoding of the space. Deviations: the sizes of the
    clusters follow the length of the history (the paper has 100,000 architectures), frequencies of a conditional
    dimension are taken among the architectures that have it, and no dimension is emptied.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from automl.errors import ConfigError
from automl.space import Architecture, Scalar, SearchSpace

__all__ = ["Reduction", "density_clusters", "reduce_space"]

_FEWEST: Final = 20
_PAPER_CLUSTER: Final = 50
_PAPER_SAMPLES: Final = 10
_SHARE: Final = 50


@dataclass(frozen=True)
class Reduction:
    """Which choices of a space remain.

    Attributes:
        kept: for each dimension that lost choices, those that remain, in the order of the space.
        removed: for the same dimensions the choices that are gone.
        frequencies: for every dimension that clustered architectures have, the share of each choice among them.
        clusters: number of clusters; 0 where no region is denser than others, and then the whole history counted.
        noise: number of architectures in no cluster, which did not count.
    """

    kept: dict[str, list[Scalar]]
    removed: dict[str, list[Scalar]]
    frequencies: dict[str, dict[Scalar, float]]
    clusters: int
    noise: int


def reduce_space(
    space: SearchSpace,
    history: Sequence[Architecture],
    *,
    threshold: float = 0.01,
    min_cluster_size: int | None = None,
    min_samples: int | None = None,
) -> Reduction:
    """Finds the choices that are rare where a search gathered.

    The history is clustered, what lies in no cluster is dropped as noise, and of each dimension the choices go whose share
    inside the clusters does not exceed the threshold. The most frequent choice stays in any case. A dimension that no
    clustered architecture has stays whole: nothing is known about it.

    With a threshold of 0 only choices go that the history never had; noise counts as well then, since no density is asked.

    Args:
        space: the space that was searched.
        history: everything that was measured, distinct, in any order.
        threshold: largest share of a choice that goes, at least 0 and below 1.
        min_cluster_size: smallest number of architectures that are a cluster; left out: 2 % of the history, between 5 and 50.
        min_samples: neighbours that make a place dense; left out: a fifth of ``min_cluster_size``.

    Raises:
        ConfigError: the threshold or a size is out of its range, or the history holds fewer than 20 architectures.
    """
    if not 0 <= threshold < 1:
        raise ConfigError(
            f"threshold is {threshold}; it is the share up to which a choice counts as rare, at least 0 and below 1 "
            "(at 1 no dimension would keep a choice)."
        )
    if len(history) < _FEWEST:
        raise ConfigError(f"the history holds {len(history)} measured architectures; {_FEWEST} are needed at least.")
    labels = density_clusters(space, history, min_cluster_size=min_cluster_size, min_samples=min_samples)
    clusters = int(labels.max(initial=-1)) + 1
    counted = labels >= 0 if clusters and threshold > 0 else np.ones(len(labels), dtype=np.bool_)
    rows = space.to_indices(history)[counted]
    kept: dict[str, list[Scalar]] = {}
    removed: dict[str, list[Scalar]] = {}
    frequencies: dict[str, dict[Scalar, float]] = {}
    for number, (name, dimension) in enumerate(space.dimensions.items()):
        positions = rows[rows[:, number] >= 0, number]
        if not len(positions):
            continue
        shares = np.bincount(positions, minlength=len(dimension.choices)) / len(positions)
        frequencies[name] = dict(zip(dimension.choices, shares.tolist(), strict=True))
        stays = shares > threshold
        stays[shares.argmax()] = True
        if not stays.all():
            kept[name] = [c for c, stay in zip(dimension.choices, stays.tolist(), strict=True) if stay]
            removed[name] = [c for c, stay in zip(dimension.choices, stays.tolist(), strict=True) if not stay]
    return Reduction(kept, removed, frequencies, clusters, int(len(labels) - counted.sum()))


def density_clusters(
    space: SearchSpace,
    history: Sequence[Architecture],
    *,
    min_cluster_size: int | None = None,
    min_samples: int | None = None,
) -> npt.NDArray[np.int64]:
    """Returns the cluster of each architecture, from 0, and -1 for noise; arguments as for ``reduce_space``."""
    from sklearn.cluster import HDBSCAN  # takes a second to import, and only this needs it

    if min_cluster_size is None:
        min_cluster_size = min(_PAPER_CLUSTER, max(5, len(history) // _SHARE))
    if min_samples is None:
        min_samples = min(_PAPER_SAMPLES, max(2, min_cluster_size // 5))
    for name, value, least in (("min_cluster_size", min_cluster_size, 2), ("min_samples", min_samples, 1)):
        if not least <= value <= len(history):
            raise ConfigError(f"{name} is {value}; it must be between {least} and the {len(history)} architectures.")
    features = space.encode(history)
    if not features.shape[1]:
        return np.zeros(len(history), dtype=np.int64)
    model = HDBSCAN(min_cluster_size=min_cluster_size, min_samples=min_samples, copy=True)
    return np.asarray(model.fit_predict(features), dtype=np.int64)
