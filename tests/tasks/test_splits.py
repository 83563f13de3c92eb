"""Stratified splits: every class in every part, disjoint, seeded; stored splits are checked."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automl.errors import DataError
from automl.tasks import check_split, stratified_split


@settings(max_examples=60, deadline=None)
@given(
    counts=st.lists(st.integers(3, 40), min_size=2, max_size=9),
    seed=st.integers(0, 2**32 - 1),
    validation=st.floats(0.01, 0.49),
    test=st.floats(0.01, 0.49),
)
def test_parts_cover_all_samples_once_with_every_class_in_its_share(counts, seed, validation, test):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    split = stratified_split(labels, seed=seed, validation=validation, test=test)
    assert sorted(split["train"] + split["validation"] + split["test"]) == list(range(len(labels)))
    for part, share in (("validation", validation), ("test", test)):
        per_class = np.bincount(labels[split[part]], minlength=len(counts))
        assert per_class.min() >= 1
        assert np.all(np.abs(per_class - share * np.array(counts)) <= len(counts) + 1)
    assert np.bincount(labels[split["train"]], minlength=len(counts)).min() >= 1


def test_parts_have_their_exact_size_although_every_class_rounds():
    labels = np.repeat(np.arange(20), 7)  # a fifth of 7 is 1.4: plain rounding would give 20 instead of 28
    split = stratified_split(labels, seed=0, validation=0.2, test=0.2)
    assert {part: len(rows) for part, rows in split.items()} == {"train": 84, "validation": 28, "test": 28}


def test_same_seed_same_split_and_other_seed_other_split():
    labels = np.arange(90) % 4
    first, again, other = (stratified_split(labels, seed=s, validation=0.2, test=0.2) for s in (5, 5, 6))
    assert first == again
    assert first["test"] != other["test"]


def test_stored_split_round_trips():
    split = stratified_split(np.arange(30) % 3, seed=1, validation=0.2, test=0.3)
    assert check_split(split, 30) == split


GOOD = {"train": [0, 1], "validation": [2], "test": [3]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"test": [4]}, "index 4, but the data have 4 samples"),
        ({"test": [-1]}, "index -1"),
        ({"test": [1]}, "sample 1 is in 'train' and in 'test'"),
        ({"validation": []}, "part 'validation' is empty"),
        ({"train": [0, 1.5]}, "holds 1.5; expected integers"),
        ({"train": [0, True]}, "holds True; expected integers"),
        ({"test": 3}, "part 'test' is 3; expected a list"),
        ({"test": "3"}, "part 'test' is '3'; expected a list"),
        ({"extra": [0]}, "expected ['test', 'train', 'validation']"),
    ],
)
def test_split_that_does_not_fit_is_refused(change, message):
    with pytest.raises(DataError) as caught:
        check_split(GOOD | change, 4, where="split.json")
    assert str(caught.value).startswith("split.json: ")
    assert message in str(caught.value)


@pytest.mark.parametrize("split", [[0, 1], None, "train"])
def test_split_that_is_no_mapping_is_refused(split):
    with pytest.raises(DataError, match=r"split\.json: has the parts (list|NoneType|str); expected"):
        check_split(split, 4, where="split.json")


def test_class_too_small_to_be_split_is_named():
    with pytest.raises(DataError, match=r"photos: class 'owl' has 2 samples; expected at least 3"):
        stratified_split(
            np.array([0, 0, 0, 1, 1]), seed=0, validation=0.2, test=0.2, names=("cat", "owl"), where="photos"
        )
