"""Adaptive edge removal and the contrastive strategy, on a task with graphs."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from automl_graph import plugin
from automl_graph.blocks import SAGE
from automl_graph.pyg import scatter
from automl_graph.signal import Graph
from automl_graph.strategies import GraphContrastive
from automl_graph.strategies.edge_removal import EdgeScorer, draw_view, drop_probabilities, info_nce
from automl_graph.tasks import GraphClassification
from torch import Tensor

from automl.errors import ConfigError
from automl.host import Host
from automl.supernet import Supernet, build_supernet, load_skeleton
from automl.testing.toy_task import toy_supernet
from automl.training import TrainingConfig, train

HOST = Host.load(entry_points=False, plugins=[plugin])
EDGES = torch.tensor([[0, 1, 1, 2, 2, 0, 3, 4, 4, 5], [1, 0, 2, 1, 0, 2, 4, 3, 5, 4]])
GRAPH = torch.tensor([0] * 6 + [1] * 4)


def probabilities(scores: Tensor, drop: float = 0.3, largest: float = 0.7) -> Tensor:
    return drop_probabilities(scores, GRAPH, 2, drop=drop, largest=largest)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_equally_important_edges_have_the_same_probability() -> None:  # check 10
    torch.testing.assert_close(probabilities(torch.full((10,), 0.4)), torch.full((10,), 0.3))
    mixed = torch.tensor([0.5] * 6 + [0.1, 0.1, 0.9, 0.9])
    found = probabilities(mixed)
    torch.testing.assert_close(found[:6], torch.full((6,), 0.3))
    torch.testing.assert_close(found[6:], torch.tensor([0.6, 0.6, 0.0, 0.0]))


def test_more_important_edges_are_never_more_likely_to_go() -> None:  # check 10
    scores = torch.rand(10, generator=generator())
    found = probabilities(scores, drop=0.4, largest=0.5)
    assert float(found.max()) <= 0.5
    for part in (slice(0, 6), slice(6, 10)):
        order = scores[part].argsort()
        assert bool((found[part][order].diff() <= 0).all())


def test_nothing_is_dropped_at_probability_zero() -> None:  # check 10
    scores = torch.rand(10, generator=generator())
    assert not probabilities(scores, drop=0.0).any()
    view = draw_view(EDGES, probabilities(scores, drop=0.0), 6, GRAPH, generator())
    assert torch.equal(view.edge_index, EDGES)
    torch.manual_seed(0)
    network, x, owner = SAGE(3, 4, residual=False).eval(), torch.randn(6, 3), torch.tensor([0, 0, 0, 1, 1, 1])
    with torch.no_grad():
        first, second = (network(Graph(x, edges)).x * view.weight[:, None] for edges in (EDGES, view.edge_index))
    pooled = [scatter(h, owner, dim=0, dim_size=2, reduce="mean") for h in (first, second)]
    cosine = float(torch.cosine_similarity(pooled[0][0], pooled[0][1], dim=0))
    identical = math.log1p(math.exp((cosine - 1) / 0.2))  # each graph is at 1 to itself and at the cosine to the other
    assert float(info_nce(*pooled, 0.2)) == pytest.approx(identical, rel=1e-5)


def test_views_are_undirected_and_keep_an_edge_of_every_graph() -> None:
    for seed in range(30):
        view = draw_view(EDGES, torch.full((10,), 0.95), 6, GRAPH, generator(seed))
        kept = {tuple(e) for e in view.edge_index.T.tolist()}
        assert all((b, a) in kept for a, b in kept)
        assert any(a < 3 for a, _ in kept)
        assert any(a >= 3 for a, _ in kept)
        torch.testing.assert_close(view.weight, torch.ones(6))


def test_share_of_removed_edges_follows_the_probability() -> None:
    ring = torch.stack([torch.arange(2000), (torch.arange(2000) + 1) % 2000])
    edges = torch.cat([ring, ring.flip(0)], dim=1)
    view = draw_view(edges, torch.full((4000,), 0.25), 2000, torch.zeros(4000, dtype=torch.int64), generator())
    assert 1 - view.edge_index.shape[1] / 4000 == pytest.approx(0.25, abs=0.03)


def test_contrastive_loss_is_zero_for_one_graph_and_symmetric() -> None:  # check 11
    a, b = (torch.randn(5, 3, generator=generator(seed)) for seed in (1, 2))
    assert float(info_nce(a[:1], b[:1], 0.2)) == 0
    torch.testing.assert_close(info_nce(a, b, 0.2), info_nce(b, a, 0.2))
    assert float(info_nce(a, a, 0.2)) < float(info_nce(a, a.flip(0), 0.2))


def test_contrastive_loss_is_the_cross_entropy_of_similarities_in_both_directions() -> None:
    a, b = (torch.randn(4, 3, generator=generator(seed), dtype=torch.float64) for seed in (1, 2))
    terms = []
    for one, other in ((a, b), (b, a)):
        for i in range(4):
            near = [math.exp(float(torch.cosine_similarity(one[i], other[j], dim=0)) / 0.3) for j in range(4)]
            terms.append(-math.log(near[i] / sum(near)))
    assert float(info_nce(a, b, 0.3)) == pytest.approx(sum(terms) / 8, rel=1e-12)
    assert float(info_nce(5 * a, b, 0.3)) == pytest.approx(sum(terms) / 8, rel=1e-12)


def test_weight_of_a_node_falls_with_the_probability_of_each_of_its_edges() -> None:  # check 11
    p = torch.rand(10, generator=generator(), dtype=torch.float64).mul(0.5).add(0.1)
    p = p.view(5, 2).mean(1).repeat_interleave(2).requires_grad_()  # the same in both directions
    view = draw_view(EDGES, p, 6, GRAPH, generator())
    for node in range(6):
        (gradient,) = torch.autograd.grad(view.weight[node], p, retain_graph=True)
        assert torch.equal(gradient < 0, EDGES[1] == node)
        assert torch.equal(gradient == 0, EDGES[1] != node)


def test_gradient_reaches_the_scorer_through_the_relaxed_mask_only() -> None:  # check 11
    torch.manual_seed(0)
    scorer = EdgeScorer(4)
    h = torch.randn(6, 4)
    view = draw_view(EDGES, probabilities(scorer(h, EDGES)), 6, GRAPH, generator())
    assert not view.edge_index.is_floating_point()
    x = torch.randn(6, 4)
    weighed = x * view.weight[:, None]
    assert torch.equal(weighed, x)
    weighed.square().sum().backward()
    gradients = [p.grad for p in scorer.parameters()]
    assert all(g is not None and bool(torch.isfinite(g).all()) for g in gradients)
    assert any(bool(g.any()) for g in gradients if g is not None)


def test_importance_is_symmetric() -> None:
    torch.manual_seed(0)
    scores = EdgeScorer(4)(torch.randn(6, 4), EDGES)
    torch.testing.assert_close(scores[0::2], scores[1::2])


def prepared(**options: float) -> tuple[GraphClassification, Supernet, GraphContrastive]:
    task = GraphClassification.load("cycles-or-trees", seed=0)
    torch.manual_seed(0)
    supernet = build_supernet(load_skeleton("graph/level", HOST), task, HOST)
    return task, supernet, GraphContrastive(**options)  # type: ignore[arg-type]


def test_training_learns_and_repeats(tmp_path: Path) -> None:
    histories = []
    for attempt in range(2):
        task, supernet, strategy = prepared()
        folder = tmp_path / str(attempt)
        folder.mkdir()
        config = TrainingConfig(epochs=2, batch_size=60, validation_subnets=1)
        histories.append(train(supernet, task, config, strategy=strategy, folder=folder, seed=1, device="cpu"))
    first, second = ([record["losses"] for record in history] for history in histories)
    assert first == second
    assert set(first[0]) == {"loss", "view", "contrastive"}
    assert all(np.isfinite(list(losses.values())).all() for losses in first)


def test_scorer_and_projection_are_trained_beside_the_network(tmp_path: Path) -> None:
    task, supernet, strategy = prepared(beta=1.0)
    strategy.prepare(supernet, TrainingConfig())
    assert supernet.companion is not None
    before = [p.detach().clone() for p in supernet.companion.parameters()]
    config = TrainingConfig(epochs=1, batch_size=90, validation_subnets=1)
    train(supernet, task, config, strategy=strategy, folder=tmp_path, seed=1, device="cpu")
    changed = [not torch.equal(a, b) for a, b in zip(before, supernet.companion.parameters(), strict=True)]
    assert sum(changed) > len(changed) // 2
    model = supernet.extract(supernet.space.smallest())
    assert not [name for name, _ in model.named_parameters() if "scorer" in name]


@pytest.mark.parametrize(("weights", "learns"), [({"alpha": 1.0}, False), ({"beta": 1.0}, True)])
def test_scorer_learns_from_the_contrast_and_not_from_the_task(
    weights: dict[str, float], learns: bool, tmp_path: Path
) -> None:  # check 11: networks see which edges stay, and that has no gradient
    task, supernet, strategy = prepared(**({"alpha": 0.0, "beta": 0.0, "gamma": 0.0} | weights))
    strategy.prepare(supernet, TrainingConfig())
    assert supernet.companion is not None
    scorer, through = supernet.companion.scorer, []
    assert isinstance(scorer, EdgeScorer)
    scorer.register_forward_pre_hook(lambda _, inputs: through.append(inputs[0].requires_grad))
    before = [p.detach().clone() for p in scorer.parameters()]
    config = TrainingConfig(epochs=1, batch_size=180, validation_subnets=1, weight_decay=0.0)
    train(supernet, task, config, strategy=strategy, folder=tmp_path, seed=1, device="cpu")
    assert any(not torch.equal(a, b) for a, b in zip(before, scorer.parameters(), strict=True)) is learns
    assert set(through) == {False}  # and features are not trained to make edges important


def test_other_spaces_and_unfit_options_are_refused() -> None:
    with pytest.raises(ConfigError, match="needs a space of slots that takes graphs"):
        GraphContrastive().prepare(toy_supernet(0), TrainingConfig())
    for options, message in (
        ({"base": "sandwitch"}, "Did you mean 'sandwich'"),
        ({"beta": -1}, "beta: -1 is negative"),
        ({"drop": 0.8}, "expected 0 <= drop <= largest < 1"),
        ({"temperature": 0}, "temperature: 0 is not positive"),
    ):
        with pytest.raises(ConfigError, match=message):
            GraphContrastive(**options)  # type: ignore[arg-type]
