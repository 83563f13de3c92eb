"""Split of nodes with few labels: a fixed number of each class to train on, the rest to measure on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from automl.errors import DataError

__all__ = ["few_labels_split"]


def few_labels_split(
    labels: npt.NDArray[np.integer],
    *,
    per_class: int,
    validation_share: float,
    names: Sequence[str],
    seed: int,
    where: str,
) -> dict[str, list[int]]:
    """Draws ``per_class`` training nodes of each class and divides all others between validation and test, by class.

    Args:
        labels: class of each node, ``(nodes,)``.
        per_class: number of training nodes of each class.
        validation_share: share of the other nodes that is for validation, 0 to 1.
        names: name of each class.
        seed: decides which nodes go where.
        where: source of the data, for messages.

    Returns:
        Sorted indices for ``"train"``, ``"validation"`` and ``"test"``.

    Raises:
        DataError: a class has too few nodes for one in validation and one in test besides its training nodes.
    """
    rng = np.random.default_rng(seed)
    owed = 0.0  # carried from class to class, so that rounding does not favour one part
    split: dict[str, list[int]] = {"train": [], "validation": [], "test": []}
    for label, name in enumerate(names):
        members = rng.permutation(np.flatnonzero(labels == label)).tolist()
        if len(members) < per_class + 2:
            raise DataError(
                f"{where}: class {name!r} has {len(members)} nodes; 'labels_per_class: {per_class}' needs at least "
                f"{per_class + 2}, one each for validation and test. Lower it, or set it to 0 to split by shares."
            )
        rest = members[per_class:]
        owed += validation_share * len(rest)
        middle = min(max(1, round(owed)), len(rest) - 1)
        owed -= middle
        split["train"] += members[:per_class]
        split["validation"] += rest[:middle]
        split["test"] += rest[middle:]
    return {part: sorted(nodes) for part, nodes in split.items()}
