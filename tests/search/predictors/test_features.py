from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from automl.search.predictors import Features
from automl.space import Categorical, Ordinal, SearchSpace
from automl.testing.strategies import spaces, spaces_with_architectures


def mobile() -> SearchSpace:
    """The 45 genes of the paper: five stages of two to four blocks, each with a kernel size and an expansion."""
    dimensions = {}
    conditions = {}
    for stage in range(5):
        dimensions[f"depth{stage}"] = Ordinal(2, 3, 4)
        for block in range(4):
            for part, choices in (("kernel", (3, 5, 7)), ("expand", (3, 4, 6))):
                dimensions[f"{part}{stage}.{block}"] = Ordinal(*choices)
                if block > 1:
                    conditions[f"{part}{stage}.{block}"] = {f"depth{stage}": list(range(block + 1, 5))}
    return SearchSpace.build(dimensions, conditions=conditions)


VIEWS = ("one_hot", "linear", "flat", "occurrences", "sizes")


def test_the_space_of_the_paper_has_its_size_and_its_features() -> None:
    space = mobile()
    features = Features(space)
    assert features.dimensions == 45
    assert space.size() == 7371**5
    rows = space.to_indices([space.smallest(), space.largest()])
    encoded = features.one_hot(rows)
    assert encoded.shape == (2, 135)
    assert encoded.sum(axis=1).tolist() == [5 + 2 * 2 * 5, 45]  # the switched-off blocks have no features
    layers = [n for n, name in enumerate(space.names) for _ in range(3) if not name.startswith("depth")]
    assert len(layers) == 120


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_two_mappings_of_one_network_have_equal_features(data: st.DataObject) -> None:
    space, (architecture,) = data.draw(spaces_with_architectures())
    features = Features(space)
    mapping = dict(architecture)
    for name, kind in space.dimensions.items():
        if name not in mapping:
            mapping[name] = data.draw(st.sampled_from(kind.choices))
    first, second = (space.to_indices([space.canonical(m)]) for m in (architecture, mapping))
    for view in VIEWS:
        np.testing.assert_array_equal(getattr(features, view)(first), getattr(features, view)(second))


@given(spaces_with_architectures(count=2))
@settings(max_examples=60, deadline=None)
def test_different_networks_have_different_features(drawn: tuple[SearchSpace, list[object]]) -> None:
    space, architectures = drawn
    features = Features(space)
    rows = space.to_indices(architectures)  # type: ignore[arg-type]
    for view in ("one_hot", "linear", "flat"):
        encoded = getattr(features, view)(rows)
        assert np.array_equal(*encoded) == (architectures[0] == architectures[1])


@given(spaces_with_architectures(count=3))
@settings(max_examples=60, deadline=None)
def test_encoding_decoding_and_encoding_again_changes_nothing(drawn: tuple[SearchSpace, list[object]]) -> None:
    space, architectures = drawn
    features = Features(space)
    rows = space.to_indices(architectures)  # type: ignore[arg-type]
    encoded = features.one_hot(rows)
    ends = np.cumsum([len(kind.choices) for kind in space.dimensions.values()])[:-1]
    decoded = np.stack([np.where(b.any(1), b.argmax(1), -1) for b in np.split(encoded, ends, axis=1)], axis=1)
    assert space.from_indices(decoded) == architectures
    np.testing.assert_array_equal(features.one_hot(decoded), encoded)


@given(spaces(rules=False), st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_every_view_has_one_row_each_and_widths_that_do_not_depend_on_it(space: SearchSpace, seed: int) -> None:
    rng = np.random.default_rng(seed)
    features = Features(space)
    rows = space.to_indices([space.sample(rng) for _ in range(5)])
    for view in VIEWS:
        all_of_them = getattr(features, view)(rows)
        assert np.isfinite(all_of_them).all()
        assert getattr(features, view)(rows[:0]).shape == (0, all_of_them.shape[1])
        np.testing.assert_array_equal(getattr(features, view)(rows[3:4])[0], all_of_them[3])


@given(spaces_with_architectures(count=4))
@settings(max_examples=60, deadline=None)
def test_distances_are_metrics_from_zero_to_one(drawn: tuple[SearchSpace, list[object]]) -> None:
    space, architectures = drawn
    features = Features(space)
    rows = space.to_indices(architectures)  # type: ignore[arg-type]
    for d in range(features.dimensions):
        found = features.distances(rows, rows, d)
        np.testing.assert_array_equal(found, found.T)
        np.testing.assert_array_equal(found == 0, np.equal.outer(rows[:, d], rows[:, d]))
        assert found.max() <= 1
        assert (found[:, None, :] <= found[:, :, None] + found[None, :, :] + 1e-12).all()


def test_views_of_a_space_by_hand() -> None:
    space = SearchSpace.build(
        {"op": Categorical("a", "b"), "first": Ordinal(1, 2, 4), "second": Ordinal(1, 2, 4)},
        conditions={"second": {"op": "b"}},
    )
    features = Features(space, costs=lambda architectures: np.array([[float(a["first"])] for a in architectures]))
    rows = space.to_indices(
        [space.canonical({"op": "a", "first": 4}), space.canonical({"op": "b", "first": 4, "second": 2})]
    )
    assert features.one_hot(rows).tolist() == [[1, 0, 0, 0, 1, 0, 0, 0], [0, 1, 0, 0, 1, 0, 1, 0]]
    assert features.occurrences(rows).tolist() == [[0, 0, 0.5], [0, 0.5, 0.5]]  # of first and second, which are alike
    np.testing.assert_allclose(features.sizes(rows), [[2 / 3, 0.5, np.log(5)], [1, 0.75, np.log(5)]])
    assert features.flat(rows).shape == (2, 2 + 1 + 1 + 3 + 3)
    assert features.linear(rows).shape == (2, 8 + 2 * 3 + 2 * 3 + 3 * 3 + 3)
    assert features.distances(rows, rows, 2).tolist() == [[0, 1], [1, 0]]  # an inactive one is a choice of its own


def test_a_large_space_pairs_neighbours_and_parents_with_their_children_only() -> None:
    space = mobile()
    # 44 pairs of dimensions in a row, and each depth with the four genes of the blocks that it decides on; none is both
    pairs = 44 + 5 * 4
    rows = space.to_indices([space.largest()])
    assert Features(space).linear(rows).shape[1] == 135 + pairs * 9 + 2
