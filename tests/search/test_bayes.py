from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import warnings

import numpy as np
import pytest

from automl.errors import ConfigError, MissingExtraError, RunError
from automl.search import Measurement, Random, hypervolume
from automl.search.bayes import Bayes
from automl.space import Architecture, Ordinal, SearchSpace
from automl.testing.problems import REFERENCE, large_space, measure

FLAT = SearchSpace.build({f"d{i}": Ordinal(*range(6)) for i in range(6)})
torch = pytest.importorskip("torch")
pytest.importorskip("botorch")


@pytest.fixture
def acquisition() -> type:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from automl.search.botorch_acquisition import BotorchAcquisition
    return BotorchAcquisition


def points(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random((n, 4))


def test_one_objective_gains_most_where_the_values_fall(acquisition: type) -> None:
    x = points(40, 0)
    gain = acquisition(x, x[:, :1], np.zeros((40, 0)), np.zeros((0, 4)), seed=1)
    probes = np.full((5, 4), 0.5)
    probes[:, 0] = [0.9, 0.7, 0.5, 0.3, 0.0]
    assert np.argsort(gain(probes)).tolist()[-1] == 4


def test_a_constraint_keeps_away_from_where_it_is_broken(acquisition: type) -> None:
    x = points(60, 1)
    violations = np.maximum(0.0, 0.5 - x[:, 1:2])
    gain = acquisition(x, x[:, :1], violations, np.zeros((0, 4)), seed=1)
    free = acquisition(x, x[:, :1], np.zeros((60, 1)), np.zeros((0, 4)), seed=1)
    probes = np.array([[0.0, 0.1, 0.5, 0.5], [0.0, 0.9, 0.5, 0.5]])  # equally good values
    assert gain(probes)[1] - gain(probes)[0] > abs(free(probes)[1] - free(probes)[0]) + 2


def test_two_objectives_gain_in_the_gap_of_the_front(acquisition: type) -> None:
    angles = np.concatenate([np.linspace(0.02, 0.5, 12), np.linspace(1.05, 1.55, 12)])
    x = np.stack([angles / 1.6, *points(24, 2).T[:3]], axis=1)
    values = np.stack([1 - np.cos(angles), 1 - np.sin(angles)], axis=1)
    gain = acquisition(x, values, np.zeros((24, 0)), np.zeros((0, 4)), seed=1)
    probes = np.full((3, 4), 0.5)
    probes[:, 0] = np.array([0.25, 0.78, 1.3]) / 1.6
    assert gain(probes).argmax() == 1
    before = gain(probes)[1]
    gain.add_pending(probes[1:2])
    assert gain(probes)[1] < before  # what is being measured there is nothing new


def test_four_objectives_and_no_feasible_measurement_are_no_problem(acquisition: type) -> None:
    x = points(30, 3)
    gain = acquisition(x, x, np.ones((30, 1)), points(2, 4), seed=1)
    assert np.isfinite(gain(points(7, 5))).all()
    one_value = acquisition(x, np.ones((30, 2)), np.zeros((30, 0)), np.zeros((0, 4)), seed=1)
    assert not np.isnan(one_value(points(7, 5))).any()


def test_the_generator_of_torch_is_left_alone_and_does_not_matter(acquisition: type) -> None:
    x, values = points(25, 6), points(25, 7)  # four objectives: their weights are drawn
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        state = torch.random.get_rng_state()
        found.append(acquisition(x, values, np.zeros((25, 0)), np.zeros((0, 4)), seed=9)(points(6, 8)))
        assert torch.equal(torch.random.get_rng_state(), state)
    assert (found[0] == found[1]).all()


def value(architecture: Architecture) -> tuple[float, float]:
    x = np.array([float(v) for v in architecture.values()]) / 5
    return float(((x - 0.2) ** 2).sum()), float(((x - 0.8) ** 2).sum())


def run(searcher: object, trials: int) -> list[Measurement]:
    history: list[Measurement] = []
    while len(history) < trials:
        told = [Measurement(architecture=a, values=value(a)) for a in searcher.ask(6)]  # type: ignore[attr-defined]
        searcher.tell(told)  # type: ignore[attr-defined]
        history += told
    return history


def test_few_measurements_are_enough_on_a_smooth_function() -> None:
    found = hypervolume([m.values for m in run(Bayes(FLAT, objectives=2, seed=0, initial=12), 36) if m.values], (4, 4))
    random = [
        hypervolume([m.values for m in run(Random(FLAT, objectives=2, seed=s), 300) if m.values], (4, 4))
        for s in range(3)
    ]
    assert found > max(random)


def test_a_long_history_is_cut_to_its_better_half_and_the_latest() -> None:
    searcher = Bayes(FLAT, objectives=1, seed=0, fitted=10)
    rng = np.random.default_rng(1)
    drawn = list(dict.fromkeys(FLAT.sample(rng) for _ in range(40)))
    values = [10.0 - i if i < 5 else 20.0 + i for i in range(len(drawn))]
    searcher.tell([Measurement(architecture=a, values=(v,)) for a, v in zip(drawn, values, strict=True)])
    rows, used, violations = searcher._fitting_data()
    assert used[:, 0].tolist() == values[:5] + values[-5:]
    assert rows.tolist() == FLAT.to_indices(drawn[:5] + drawn[-5:]).tolist()
    assert violations.shape == (10, 0)


def test_what_was_told_first_counts_as_the_start() -> None:
    space = large_space()
    rng = np.random.default_rng(2)
    searcher = Bayes(space, objectives=2, seed=0, initial=8, batch=3)
    searcher.tell(measure([space.sample(rng) for _ in range(8)]))
    assert len(searcher.ask(9)) == 3  # a batch from a fit
    later = Bayes(space, objectives=2, seed=0, initial=8)
    later.tell(measure([space.sample(rng) for _ in range(5)]))
    assert later.ask(9)[:2] == [space.smallest(), space.largest()]


def test_failures_alone_lead_to_further_random_candidates() -> None:
    searcher = Bayes(FLAT, objectives=1, seed=0, initial=4, batch=3)
    asked = searcher.ask(9)
    searcher.tell([Measurement(architecture=a, values=None, failure="broken") for a in asked])
    assert len(searcher.ask(9)) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"initial": 1}, "bayes: initial is 1; it must be at least 2"),
        ({"batch": 0}, "bayes: batch is 0; it must be at least 1"),
        ({"fitted": 9}, "bayes: fitted is 9; it must be at least 10"),
    ],
)
def test_unusable_options_are_refused(options: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Bayes(FLAT, objectives=1, seed=0, **options)


def test_without_botorch_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("automl.search.bayes.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"needs botorch.*pip install 'automl-supernets\[bayes\]'"):
        Bayes(FLAT, objectives=1, seed=0)
    assert importlib.util.find_spec("botorch") is not None


def test_a_state_of_another_history_is_refused() -> None:
    state = json.loads(json.dumps(Bayes(FLAT, objectives=1, seed=0).state()))
    with pytest.raises(RunError, match=r"saved state of the searcher 'bayes' .* the history holds 1"):
        Bayes(FLAT, objectives=1, seed=0).restore(state, [Measurement(architecture=FLAT.smallest(), values=(1.0,))])


def test_torch_is_imported_only_when_there_is_something_to_fit() -> None:
    script = (
        f"import sys; sys.path[:] = {sys.path!r}\n"
        "from automl.search.bayes import Bayes\n"
        "from automl.testing.problems import large_space\n"
        "Bayes(large_space(), objectives=2, seed=0).ask(20)\n"
        "sys.exit('torch' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_the_reference_problem_is_solved_better_than_at_random() -> None:
    space = large_space()
    searcher = Bayes(space, objectives=2, seed=3)
    values: list[tuple[float, ...]] = []
    while len(values) < 40:
        told = measure(searcher.ask(5))
        searcher.tell(told)
        values += [m.values for m in told if m.values]
    rng = np.random.default_rng(4)
    drawn = [m.values for m in measure([space.sample(rng) for _ in range(200)]) if m.values]
    assert hypervolume(values, REFERENCE) > hypervolume(drawn, REFERENCE)
