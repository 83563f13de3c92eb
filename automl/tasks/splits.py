"""Stratified splits into train, validation and test, stored as lists of indices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from automl.errors import DataError

__all__ = ["PARTS", "Part", "check_shares", "check_split", "stratified_split"]

Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = ("train", "validation", "test")


def stratified_split(
    labels: npt.NDArray[np.integer],
    *,
    seed: int,
    validation: float,
    test: float,
    names: Sequence[str] | None = None,
    where: str = "data",
) -> dict[str, list[int]]:
    """Splits samples so that every class has its share, and at least one sample, in each part.

    Shares are rounded per class by cumulative counts over the classes, so the parts have their exact total size to
    within one sample however small the classes are.

    Args:
        labels: class of each sample, ``(samples,)``, 0 to classes − 1.
        seed: decides which samples go where.
        validation: share of the validation part, 0 to 1.
        test: share of the test part, 0 to 1.
        names: names of the classes, for messages.
        where: file or source, for messages.

    Returns:
        Sorted indices for ``"train"``, ``"validation"`` and ``"test"``.

    Raises:
        DataError: a class has fewer than three samples.
    """
    rng = np.random.default_rng(seed)
    parts: dict[str, list[int]] = {part: [] for part in PARTS}
    owed_validation = owed_test = 0.0
    for label in range(int(labels.max()) + 1 if names is None else len(names)):
        members = rng.permutation(np.flatnonzero(labels == label))
        if len(members) < 3:
            name = str(label) if names is None else names[label]
            raise DataError(
                f"{where}: class {name!r} has {_samples(len(members))}; expected at least 3 samples of every class, "
                f"one each for train, validation and test. Add samples, or remove the class and number the others "
                f"from 0."
            )
        owed_validation += validation * len(members)
        owed_test += test * len(members)
        in_test = min(max(1, round(owed_test)), len(members) - 2)
        in_validation = min(max(1, round(owed_validation)), len(members) - 1 - in_test)
        owed_validation -= in_validation
        owed_test -= in_test
        parts["test"] += members[:in_test].tolist()
        parts["validation"] += members[in_test : in_test + in_validation].tolist()
        parts["train"] += members[in_test + in_validation :].tolist()
    return {part: sorted(indices) for part, indices in parts.items()}


def check_shares(validation: float, test: float) -> None:
    """Checks that two shares of the data leave something to train on.

    Raises:
        ValueError: they do not; options turn this into an error that names where they stand.
    """
    if validation + test >= 1:
        raise ValueError(
            f"validation {validation:g} and test {test:g} leave nothing to train on; their sum must stay below 1"
        )


def check_split(split: Mapping[str, Sequence[int]], samples: int, where: str = "split") -> dict[str, list[int]]:
    """Returns a stored split as plain lists after checking that it fits ``samples`` samples.

    Raises:
        DataError: a part is missing, unknown or empty, or an index is no integer, out of range or used twice.
    """
    if not isinstance(split, Mapping) or set(split) != set(PARTS):
        found = sorted(map(str, split)) if isinstance(split, Mapping) else type(split).__name__
        raise DataError(f"{where}: has the parts {found}; expected {sorted(PARTS)}.")
    owner: dict[int, str] = {}
    for part in PARTS:
        if not isinstance(split[part], Sequence) or isinstance(split[part], str):
            raise DataError(f"{where}: part {part!r} is {split[part]!r}; expected a list of indices.")
        if not split[part]:
            raise DataError(f"{where}: part {part!r} is empty; expected at least one sample.")
        for index in split[part]:
            if isinstance(index, bool) or not isinstance(index, (int, np.integer)):
                raise DataError(f"{where}: part {part!r} holds {index!r}; expected integers.")
            if not 0 <= index < samples:
                raise DataError(
                    f"{where}: part {part!r} holds index {index}, but the data have {samples} samples (0 to "
                    f"{samples - 1}). The data have changed since the split was stored; start a new run."
                )
            if index in owner:
                raise DataError(f"{where}: sample {index} is in {owner[int(index)]!r} and in {part!r}.")
            owner[int(index)] = part
    return {part: [int(index) for index in split[part]] for part in PARTS}


def _samples(count: int) -> str:
    return "no sample" if count == 0 else "1 sample" if count == 1 else f"{count} samples"
