"""Attention over edges by hand, with self loops hidden and nodes without any source."""

from __future__ import annotations

import torch
from automl_graph.attention import attend, links_of, score_heads
from torch import nn

EDGES = torch.tensor([[0, 1, 1, 2], [1, 1, 2, 1]])  # 1 -> 1 is a self loop; nobody but itself sends to 0


def test_each_node_attends_to_itself_exactly_once() -> None:
    links = links_of(EDGES, 3, self_loops=True)
    values = torch.tensor([[[1.0]], [[10.0]], [[100.0]]])
    mixed = attend(torch.zeros(7, 1), values, links, dropout=0.0, training=False)
    torch.testing.assert_close(mixed.flatten(), torch.tensor([1.0, 37.0, 55.0]))


def test_nodes_without_a_source_receive_zeros() -> None:
    links = links_of(EDGES, 3, self_loops=False)
    values = torch.tensor([[[1.0]], [[10.0]], [[100.0]]])
    mixed = attend(torch.zeros(4, 1), values, links, dropout=0.0, training=False)
    torch.testing.assert_close(mixed.flatten(), torch.tensor([0.0, 37.0, 10.0]))


def test_weights_follow_the_scores_of_each_head() -> None:
    links = links_of(EDGES[:, [0, 3]], 3, self_loops=False)
    values = torch.tensor([[[1.0], [1.0]], [[0.0], [0.0]], [[5.0], [5.0]]])
    scores = torch.tensor([[0.0, 0.0], [0.0, 3.0]]).double()
    mixed = attend(scores, values.double(), links, dropout=0.0, training=False)
    share = torch.sigmoid(torch.tensor(3.0, dtype=torch.float64))
    torch.testing.assert_close(mixed[1], torch.stack([torch.tensor(3.0).double(), 1 + 4 * share]), rtol=1e-12, atol=0)


def test_each_head_meets_its_own_vector() -> None:
    layer = nn.Linear(3, 2, bias=False)
    features = torch.randn(5, 2, 3)
    torch.testing.assert_close(score_heads(features, layer), (features * layer.weight).sum(-1))
