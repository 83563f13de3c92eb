from __future__ import annotations

import itertools

import numpy as np
import pytest

from automl.errors import ConfigError
from automl.search import Evolution
from automl.search.reduce import density_clusters, reduce_space
from automl.space import Architecture, Categorical, Ordinal, SearchSpace, restrict
from automl.testing.problems import large_space, measure

SPACE = SearchSpace.build(
    {
        "op": Categorical("conv", "pool", "skip"),
        "kernel": Ordinal(3, 5, 7),
        **{f"width{i}": Ordinal(8, 16, 24, 32) for i in range(5)},
    },
    {"kernel": {"op": "conv"}},
)


def crowd(op: str, high: tuple[int, ...] = (), **more: int) -> list[Architecture]:
    """The 32 architectures of an operation whose widths are the two small ones, or the two large ones where said."""
    choices = [(24, 32) if i in high else (8, 16) for i in range(5)]
    return [
        SPACE.canonical({"op": op, **more, **{f"width{i}": w for i, w in enumerate(widths)}})
        for widths in itertools.product(*choices)
    ]


def stray(op: str, *widths: int, **more: int) -> Architecture:
    return SPACE.canonical({"op": op, **more, **{f"width{i}": w for i, w in enumerate(widths)}})


def two_crowds_and_strays() -> list[Architecture]:
    """Two dense regions close to each other, and four architectures far away, alone with pool, skip and kernel 7."""
    strays = [
        stray("skip", 8, 32, 24, 8, 32),
        stray("pool", 32, 8, 8, 32, 8),
        stray("conv", 32, 8, 32, 32, 16, kernel=7),
        stray("conv", 8, 32, 8, 16, 32, kernel=7),
    ]
    return [*crowd("conv", kernel=5), *crowd("conv", (0, 1), kernel=5), *strays]


def test_dense_regions_are_clusters_and_strays_are_noise() -> None:
    labels = density_clusters(SPACE, two_crowds_and_strays(), min_cluster_size=20, min_samples=3).tolist()
    assert {*labels[:32]} == {labels[0]}
    assert {*labels[32:64]} == {labels[32]}
    assert sorted([labels[0], labels[32]]) == [0, 1]
    assert labels[64:] == [-1] * 4


def test_choices_that_are_rare_inside_the_clusters_go() -> None:
    history = two_crowds_and_strays()
    found = reduce_space(SPACE, history, threshold=0.01, min_cluster_size=20, min_samples=3)
    assert (found.clusters, found.noise) == (2, 4)
    assert found.removed == {
        "op": ["pool", "skip"], "kernel": [3, 7], "width2": [24, 32], "width3": [24, 32], "width4": [24, 32],
    }  # fmt: skip
    assert found.frequencies["width0"] == {8: 0.25, 16: 0.25, 24: 0.25, 32: 0.25}
    narrow = restrict(SPACE, found.kept)
    assert narrow.size() == 4**2 * 2**3
    assert set(history[:64]) <= set(narrow.enumerate())


def test_shares_of_a_conditional_dimension_are_those_among_the_architectures_that_have_it() -> None:
    found = reduce_space(SPACE, [*crowd("conv", kernel=5), *crowd("pool", kernel=5)], threshold=0.0)
    assert found.frequencies["op"] == {"conv": 0.5, "pool": 0.5, "skip": 0.0}
    assert found.frequencies["kernel"] == {3: 0.0, 5: 1.0, 7: 0.0}


def test_a_share_equal_to_the_threshold_goes_and_one_above_it_stays() -> None:
    history = [*crowd("conv", kernel=5), *crowd("conv", (0, 1), kernel=5), *crowd("pool")]
    at = reduce_space(SPACE, history, threshold=32 / 96, min_cluster_size=20, min_samples=3)
    assert at.kept["op"] == ["conv"]
    below = reduce_space(SPACE, history, threshold=32 / 96 - 1e-9, min_cluster_size=20, min_samples=3)
    assert below.kept["op"] == ["conv", "pool"]


def test_threshold_zero_removes_only_what_was_never_seen() -> None:
    history = two_crowds_and_strays()
    seen = {name: {a[name] for a in history if name in a} for name in SPACE.names}
    found = reduce_space(SPACE, history, threshold=0.0, min_cluster_size=20, min_samples=3)
    for name, dimension in SPACE.dimensions.items():
        never = [choice for choice in dimension.choices if choice not in seen[name]]
        assert found.removed.get(name, []) == never
    assert found.removed == {
        "kernel": [3],
        "width3": [24],
        "width4": [24],
    }  # skips and sevens, which are noise, count here
    assert set(history) <= set(restrict(SPACE, found.kept).enumerate())


def test_no_dimension_is_emptied_however_high_the_threshold() -> None:
    history = two_crowds_and_strays()
    found = reduce_space(SPACE, history, threshold=0.999, min_cluster_size=20, min_samples=3)
    assert found.kept["op"] == ["conv"]
    assert all(len(choices) == 1 for choices in found.kept.values())
    assert restrict(SPACE, found.kept).size() >= 1


def test_without_dense_regions_the_whole_history_counts() -> None:
    rng = np.random.default_rng(3)
    scattered = [SPACE.sample(rng) for _ in range(30)]
    found = reduce_space(SPACE, scattered, threshold=0.01, min_cluster_size=30, min_samples=30)
    assert (found.clusters, found.noise) == (0, 0)
    counts = {op: sum(a["op"] == op for a in scattered) / 30 for op in ("conv", "pool", "skip")}
    assert found.frequencies["op"] == pytest.approx(counts)


def test_a_dimension_that_no_clustered_architecture_has_stays_whole() -> None:
    found = reduce_space(SPACE, crowd("pool"), threshold=0.01)
    assert found.kept["op"] == ["pool"]
    assert "kernel" not in found.frequencies
    assert "kernel" not in found.kept
    assert "kernel" not in restrict(SPACE, found.kept).names


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 1.0}, "threshold is 1.0; it is the share .* at least 0 and below 1"),
        ({"threshold": 1.5}, "threshold is 1.5"),
        ({"threshold": -0.1}, "threshold is -0.1"),
        ({"threshold": float("nan")}, "threshold is nan"),
        ({"min_cluster_size": 1}, "min_cluster_size is 1; it must be between 2 and the 68 architectures"),
        ({"min_samples": 500}, "min_samples is 500; it must be between 1 and the 68"),
    ],
)
def test_unusable_options_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        reduce_space(SPACE, two_crowds_and_strays(), **options)  # type: ignore[arg-type]


def test_a_short_history_is_refused() -> None:
    with pytest.raises(ConfigError, match="holds 19 measured architectures; 20 are needed"):
        reduce_space(SPACE, two_crowds_and_strays()[:19])


def test_the_space_of_a_real_search_shrinks_and_keeps_nearly_all_of_the_front() -> None:
    space = large_space()
    searcher = Evolution(space, objectives=2, seed=0)
    history = []
    while len(history) < 300:
        told = measure(searcher.ask(8))
        searcher.tell(told)
        history += told
    found = reduce_space(space, [m.architecture for m in history], threshold=0.05)
    narrow = restrict(space, found.kept)
    assert narrow.size() < 0.2 * space.size()
    values = np.array([m.values for m in history])
    front = [m for m in history if not ((values <= m.values).all(1) & (values < m.values).any(1)).any()]
    lost = [m for m in front if any(m.architecture.get(n) in gone for n, gone in found.removed.items())]
    assert len(lost) < 0.3 * len(front)
