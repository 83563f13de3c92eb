from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
import pytest

from automl.search import Evolution, Measurement
from automl.search.reference_points import associate, das_dennis, niched, normalised, reference_points
from automl.search.survival import survivors
from automl.space import Ordinal, SearchSpace


def test_three_objectives_in_two_divisions_give_the_six_points_of_the_simplex() -> None:
    expected = [(0, 0, 1), (0, 0.5, 0.5), (0, 1, 0), (0.5, 0, 0.5), (0.5, 0.5, 0), (1, 0, 0)]
    assert das_dennis(3, 2).tolist() == [list(map(float, point)) for point in expected]


@pytest.mark.parametrize(("objectives", "divisions"), [(2, 1), (2, 7), (3, 12), (4, 3), (5, 6), (8, 2)])
def test_points_are_all_multiples_on_the_simplex(objectives: int, divisions: int) -> None:
    points = das_dennis(objectives, divisions)
    assert len(points) == comb(objectives + divisions - 1, divisions) == len(np.unique(points, axis=0))
    assert points.sum(axis=1) == pytest.approx(1)
    assert (points * divisions) == pytest.approx(np.round(points * divisions))
    assert (points >= 0).all()


def test_as_many_points_as_the_population_can_represent() -> None:
    assert len(reference_points(3, 91)) == 91  # 12 divisions, as in table I of the paper
    assert len(reference_points(3, 100)) == 91
    assert len(reference_points(4, 3)) == 4  # the corners in any case


def test_a_second_layer_fills_the_inside_where_all_points_lie_on_the_border() -> None:
    points = reference_points(8, 156)  # 3 and 2 divisions, as in table I of the paper
    assert len(points) == comb(10, 3) + comb(9, 2) == 156
    inside = points[(points > 0).all(axis=1)]
    assert len(inside) == 36
    assert inside.sum(axis=1) == pytest.approx(1)
    assert inside.max() == pytest.approx(0.5 + 0.5 / 8)


def test_objectives_are_scaled_by_the_hyperplane_through_the_extreme_points() -> None:
    # Two extreme points (10, 2) and (1, 8) above the ideal point (1, 2): the line through (9, 0) and (0, 6).
    values = np.array([[10.0, 2.0], [1.0, 8.0], [4.0, 4.0]])
    scaled = normalised(values, np.array([1.0, 2.0]), values)
    assert scaled == pytest.approx(np.array([[1, 0], [0, 1], [3 / 9, 2 / 6]]))


def test_without_a_hyperplane_the_first_front_scales() -> None:
    values = np.array([[5.0, 1.0], [5.0, 1.0], [7.0, 2.0]])
    scaled = normalised(values, np.array([1.0, 1.0]), values[:2])
    assert scaled == pytest.approx(np.array([[1, 0], [1, 0], [1.5, 1]]))  # nothing to scale the second objective by


def test_a_member_belongs_to_the_nearest_line_through_the_origin() -> None:
    points = np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]])
    niche, distance = associate(np.array([[4.0, 3.0], [0.0, 2.0], [3.0, 0.4]]), points)
    assert niche.tolist() == [1, 2, 0]
    assert distance == pytest.approx([np.hypot(4.0 - 3.5, 3.0 - 3.5), 0.0, 0.4])


def test_the_last_front_fills_the_emptiest_niches_with_their_closest_members() -> None:
    # On the line f1 + f2 = 1, three points for n = 3. Rank 0 holds both ends; rank 1 three candidates, of which the one
    # nearest to the empty direction in the middle must survive although all are of one rank.
    values = np.array([[0.0, 1.0], [1.0, 0.0], [0.2, 1.3], [0.75, 0.8], [0.9, 0.7]])
    ranks = np.array([0, 0, 1, 1, 1])
    assert reference_points(2, 3).tolist() == [[0.0, 1.0], [0.5, 0.5], [1.0, 0.0]]
    assert sorted(niched(values, ranks, 3).tolist()) == [0, 1, 3]
    # With room for four, (0.9, 0.7) would be the second of the middle niche and (0.2, 1.3) the second of an end: equally
    # full niches, so the distance decides: |0.2| from the axis against 0.1·√2.
    assert niched(values, ranks, 5).tolist()[2:] == [3, 4, 2]


def test_ranks_come_before_niches() -> None:
    rng = np.random.default_rng(0)
    values = rng.random((60, 5))
    ranks = rng.integers(0, 4, size=60)
    for n in (1, 7, 30, 60):
        chosen = niched(values, ranks, n)
        assert len(set(chosen.tolist())) == n
        assert ranks[chosen].tolist() == sorted(ranks.tolist())[:n]


def test_survivors_of_four_objectives_keep_every_direction_and_feasible_come_first() -> None:
    rng = np.random.default_rng(1)
    crowd = 0.25 + 0.02 * rng.random((40, 4))
    crowd /= crowd.sum(axis=1, keepdims=True)  # all on one simplex, in its middle
    values = np.vstack([crowd, np.eye(4)])
    kept = set(survivors(values, np.zeros((44, 0)), 8).tolist())
    assert {40, 41, 42, 43} <= kept
    violations = np.zeros((44, 2))
    violations[40:42] = [[3.0, 0.0], [0.0, 5e6]]
    violations[:38, 1] = 1e7
    order = survivors(values, violations, 10).tolist()
    assert set(order[:4]) == {38, 39, 42, 43}
    assert order[4] == 41  # half of the worst violation of its kind; all others have a worst one


def test_an_interval_pulls_from_both_sides() -> None:
    flat = SearchSpace.build({f"d{i}": Ordinal(*range(10)) for i in range(6)})

    def measured(space: SearchSpace, searcher: Evolution) -> list[Measurement]:
        results = []
        for architecture in searcher.ask(8):
            sizes = [float(v) for v in architecture.values()]
            total = sum(sizes)
            # Four objectives want everything; 14 ≤ total ≤ 16 allows about one in seven.
            violation = max(14 - total, total - 16, 0.0)
            results.append(
                Measurement(architecture=architecture, values=tuple(-s for s in sizes[:4]), violations=(violation,))
            )
        searcher.tell(results)
        return results

    feasible = []
    for seed in range(3):
        searcher = Evolution(flat, objectives=4, seed=seed)
        feasible += [m.feasible for _ in range(15) for m in measured(flat, searcher)][60:]
    rng = np.random.default_rng(7)
    chance = np.mean([14 <= sum(map(float, flat.sample(rng).values())) <= 16 for _ in range(2000)])
    assert np.mean(feasible) > 3 * chance


def test_four_objectives_reach_farther_than_random_search() -> None:
    flat = SearchSpace.build({f"d{i}": Ordinal(*range(8)) for i in range(8)})

    def value(position: np.ndarray) -> tuple[float, ...]:
        # Each objective is the distance from a corner of its own: DTLZ2's trade-off on a grid, with 4 dimensions of waste.
        waste = (position[4:] ** 2).sum() / 50
        return tuple(float((1 + waste) * (8 - p)) for p in position[:4])

    def run(seed: int) -> float:
        searcher = Evolution(flat, objectives=4, seed=seed)
        waste = []
        for _ in range(20):
            told = [Measurement(architecture=a, values=value(flat.to_indices([a])[0])) for a in searcher.ask(8)]
            searcher.tell(told)
            waste += [flat.to_indices([m.architecture])[0][4:].sum() for m in told]
        return float(np.mean(waste[-60:]))

    assert np.mean([run(seed) for seed in range(3)]) < 0.5 * 14  # random architectures have 14 on average


def test_first_generation_starts_with_what_was_given() -> None:
    flat = SearchSpace.build({f"d{i}": Ordinal(1, 2, 3) for i in range(6)})
    rng = np.random.default_rng(3)
    given = list({flat.sample(rng) for _ in range(6)})[:5]
    searcher = Evolution(flat, objectives=2, seed=0, population=5, offspring=4, crossover=1.0, changes=1e-9)
    values = [(float(i), -float(i)) for i in range(5)]
    searcher.tell([Measurement(architecture=a, values=v) for a, v in zip(given, values, strict=True)])
    rows = flat.to_indices(given)
    children = flat.to_indices(searcher.ask(4))
    # Crossed children with one mutation at most: all but one dimension come from a pair of the given ones.
    for child in children:
        best = max(((child == a) | (child == b)).sum() for a, b in combinations(rows, 2))
        assert best >= 5
    assert not {tuple(r) for r in children} & {tuple(r) for r in rows}


def test_a_given_start_that_is_too_small_is_filled_up() -> None:
    flat = SearchSpace.build({f"d{i}": Ordinal(1, 2, 3) for i in range(12)})
    rng = np.random.default_rng(4)
    given = [flat.sample(rng), flat.smallest()]
    searcher = Evolution(flat, objectives=2, seed=0, population=6, offspring=4)
    searcher.tell([Measurement(architecture=a, values=(1.0, 2.0)) for a in given])
    filled = searcher.ask(9)
    assert len(filled) == 4
    assert filled[0] == flat.largest()
    changed = (flat.to_indices(filled)[:, None, :] != flat.to_indices(given)[None]).sum(axis=2)
    assert changed.min() > 4  # random ones, no mutants
