"""Refuses training parts that teach nothing, because all they hold is the same."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from automl.errors import DataError

__all__ = ["require_classes", "require_values"]


def require_classes(labels: npt.NDArray[np.integer], train: Sequence[int], names: Sequence[str], where: str) -> None:
    """Refuses a training part of one class.

    Args:
        labels: class of each sample, ``(samples,)``.
        train: samples of the training part, at least one.
        names: names of the classes.
        where: file or source, for messages.

    Raises:
        DataError: there is one class only; names it.
    """
    found = np.unique(labels[np.asarray(train)])
    if len(found) == 1:
        raise DataError(
            f"{where}: split: all {len(train)} samples of part 'train' are of class {names[int(found[0])]!r}; expected at least "
            "two classes in it, or there is nothing to learn."
        )


def require_values(values: npt.NDArray[np.floating], train: Sequence[int], where: str) -> None:
    """Refuses a training part whose values are all the same.

    Args:
        values: value of each sample, ``(samples,)``.
        train: samples of the training part, at least one.
        where: file or source, for messages.

    Raises:
        DataError: there is one value only; says it.
    """
    found = np.unique(values[np.asarray(train)])
    if len(found) == 1:
        raise DataError(
            f"{where}: 'y' is {found[0]:g} for all {len(train)} training graphs; expected values that differ, or there is "
            "nothing to learn."
        )
