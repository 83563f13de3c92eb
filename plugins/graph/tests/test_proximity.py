"""Negative samples and the loss on links."""

from __future__ import annotations

import networkx
import numpy as np
import pytest
import torch
from automl_graph.hetero import proximity_loss, sample_non_edges
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score
from torch import nn


@settings(max_examples=40, deadline=None)
@given(
    heads=st.integers(1, 6),
    tails=st.integers(1, 5),
    share=st.floats(0, 1),
    ratio=st.floats(0.3, 5),
    seed=st.integers(0, 99),
)
def test_samples_are_never_edges_and_as_many_as_asked(
    heads: int, tails: int, share: float, ratio: float, seed: int
) -> None:
    torch.manual_seed(seed)
    edges = (torch.rand(heads, tails) < share).nonzero().T
    pairs = sample_non_edges(edges, heads, tails, ratio=ratio)
    assert pairs.shape[1] == min(int(ratio * edges.shape[1]), heads * tails - edges.shape[1])
    assert not {*map(tuple, pairs.T.tolist())} & {*map(tuple, edges.T.tolist())}
    if pairs.numel():
        assert int(pairs.min()) >= 0
        assert int(pairs[0].max()) < heads
        assert int(pairs[1].max()) < tails


def test_samples_are_uniform_over_pairs_without_an_edge() -> None:
    torch.manual_seed(0)
    edges = torch.tensor([[0, 0, 1, 2, 2, 2], [0, 3, 1, 0, 2, 3]])
    count = torch.zeros(3, 4)
    for _ in range(500):
        pairs = sample_non_edges(edges, 3, 4, ratio=1)
        count.index_put_(tuple(pairs), torch.ones(pairs.shape[1]), accumulate=True)
    assert not count[tuple(edges)].any()
    free = count[count > 0]
    assert len(free) == 6
    assert float(free.min()) > 420
    assert float(free.max()) < 580


def test_relation_between_all_pairs_has_no_negatives() -> None:
    edges = torch.cartesian_prod(torch.arange(3), torch.arange(4)).T
    pairs = sample_non_edges(edges, 3, 4, ratio=5)
    assert pairs.shape == (2, 0)
    loss = proximity_loss(torch.zeros(12, 1), torch.ones(12), torch.zeros(0, 1))
    torch.testing.assert_close(loss, torch.tensor(np.log(2), dtype=torch.float32))
    assert proximity_loss(torch.zeros(0, 1), torch.zeros(0), torch.zeros(0, 1)) == 0


def test_loss_weighs_edges_by_their_values_and_both_halves_alike() -> None:
    linked, free = torch.tensor([[0.3], [-1.2], [2.0]]), torch.tensor([[0.4], [-0.1]])
    weight = torch.tensor([0.25, 1.0, 0.5])
    edges = -sum(w * np.log(1 / (1 + np.exp(-e))) for w, e in zip(weight.tolist(), (0.3, -1.2, 2.0), strict=True)) / 3
    others = -sum(np.log(1 / (1 + np.exp(e))) for e in (0.4, -0.1)) / 2
    assert float(proximity_loss(linked, weight, free)) == pytest.approx(edges + others, rel=1e-6)


def test_loss_falls_on_a_real_network_and_ranks_held_out_links() -> None:
    # Davis, Gardner and Gardner 1941: which of 14 events each of 18 women attended.
    from automl_graph.hetero import HeteroGraph, Relation, Schema, TypeWidths
    from automl_graph.hetero.latte import StackedOrders

    from automl.supernet import auxiliary_losses

    network_of_women = networkx.davis_southern_women_graph()
    people = network_of_women.graph["top"]
    women = networkx.bipartite.biadjacency_matrix(network_of_women, people).toarray() > 0
    edges = torch.from_numpy(np.argwhere(women).T)
    torch.manual_seed(1)
    held = torch.randperm(edges.shape[1])[:9]
    kept = torch.ones(edges.shape[1], dtype=torch.bool).index_fill(0, held, False)
    schema = Schema(("woman", "event"), (Relation("at", "woman", "event"), Relation("of", "event", "woman")))
    graph = HeteroGraph((torch.eye(18), torch.eye(14)), (edges[:, kept], edges[:, kept].flip(0)))
    network = StackedOrders(
        TypeWidths([18, 14], [False, False]),
        schema=schema,
        orders=1,
        heads=1,
        head_width=8,
        attention="sharpening",
        context="input",
        updates="all",
        joined_edges="all",
        attention_dropout=0.0,
        proximity=1.0,
        negatives=2.0,
    ).train()
    optimiser = torch.optim.Adam(network.parameters(), lr=0.01)
    values = []
    for _ in range(50):
        with auxiliary_losses() as losses:
            network(graph)
        optimiser.zero_grad()
        losses[0].backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        values.append(losses[0].item())
    assert abs(values[0] - np.log(2)) < 0.2
    assert np.mean(values[-10:]) < values[0] - 0.03

    layer = network.layers.active()[0]
    left, right = layer.own(graph.x)[0], layer.others(graph.x)[1]  # type: ignore[operator]
    free = torch.from_numpy(np.argwhere(~women).T)
    pairs = torch.cat([edges[:, held], free], dim=1)
    score: nn.Module = layer.scores[0]  # type: ignore[index]
    logits = score(left[:, None], right[:, None], pairs)[:, 0]
    assert roc_auc_score(np.r_[np.ones(len(held)), np.zeros(free.shape[1])], logits.detach().numpy()) > 0.5
