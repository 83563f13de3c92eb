"""HAN and HGT against torch-geometric."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from automl_graph.hetero import HAN, HGT, HeteroFormat, HeteroGraph
from automl_graph.hetero.schema import EXAMPLE_SCHEMA
from torch import Tensor


@pytest.fixture(scope="module")
def graph() -> HeteroGraph:
    tensors = HeteroFormat().example(30, 8, torch.Generator().manual_seed(0))
    return HeteroFormat().pack(*(t.double() if t.is_floating_point() else t for t in tensors))


TYPES = list(EXAMPLE_SCHEMA.types)
EDGE_TYPES = [(r.tail, r.name, r.head) for r in EXAMPLE_SCHEMA.relations]  # messages go from tail to head
HEADS, HEAD_WIDTH = 2, 4


def inputs(graph: HeteroGraph) -> tuple[dict[str, Tensor], dict[Any, Tensor]]:
    edges = {key: index.flip(0) for key, index in zip(EDGE_TYPES, graph.edges, strict=True)}
    return dict(zip(TYPES, graph.x, strict=True)), edges


def test_han_is_that_of_torch_geometric(graph: HeteroGraph) -> None:
    from torch_geometric.nn import HANConv

    torch.manual_seed(1)
    block = HAN(8, 8, schema=EXAMPLE_SCHEMA, heads=HEADS, head_width=HEAD_WIDTH).double().eval()
    peer = HANConv(8, 8, (TYPES, EDGE_TYPES), heads=HEADS).double().eval()
    with torch.no_grad():
        for t, name in enumerate(TYPES):
            peer.proj[name].load_state_dict(block.project.layers[t].state_dict())
            block.merge.layers[t].weight.copy_(torch.eye(8))
            block.merge.layers[t].bias.zero_()
        assert block.key is not None
        assert block.query is not None
        peer.k_lin.load_state_dict(block.key.state_dict())
        peer.q.copy_(block.query.weight)
        for r, key in enumerate(EDGE_TYPES):
            peer.lin_dst["__".join(key)].copy_(block.heads_score[r].weight[None])
            peer.lin_src["__".join(key)].copy_(block.tails_score[r].weight[None])
        expected = peer(*inputs(graph))
        for name, found in zip(TYPES, block(graph).x, strict=True):
            torch.testing.assert_close(found, expected[name], rtol=0, atol=1e-12)


@pytest.mark.parametrize("same_width", [True, False])
def test_hgt_is_that_of_torch_geometric(graph: HeteroGraph, same_width: bool) -> None:
    from torch_geometric.nn import HGTConv

    inp = 8 if same_width else 6
    features = HeteroGraph(tuple(x[:, :inp] for x in graph.x), graph.edges)
    torch.manual_seed(2)
    block = HGT(inp, 8, schema=EXAMPLE_SCHEMA, heads=HEADS, head_width=HEAD_WIDTH).double().eval()
    peer = HGTConv(inp, 8, (TYPES, EDGE_TYPES), heads=HEADS).double().eval()
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.copy_(torch.randn_like(parameter))
        for t, name in enumerate(TYPES):
            parts = [block.key.layers[t], block.query.layers[t], block.value.layers[t]]
            peer.kqv_lin.lins[name].weight.copy_(torch.cat([part.weight for part in parts]))
            peer.kqv_lin.lins[name].bias.copy_(torch.cat([part.bias for part in parts]))
            peer.out_lin.lins[name].load_state_dict(block.merge.layers[t].state_dict())
            if block.share is not None:
                peer.skip[name].copy_(block.share[t])
        for r, key in enumerate(EDGE_TYPES):
            peer.p_rel["__".join(key)].copy_(block.prior[r][None])
            for head in range(HEADS):
                place = head * len(EDGE_TYPES) + r
                peer.k_rel.weight[place].copy_(block.key_maps[r].maps[head].weight.T)
                peer.v_rel.weight[place].copy_(block.value_maps[r].maps[head].weight.T)
        expected = peer(*inputs(features))
        for name, found in zip(TYPES, block(features).x, strict=True):
            torch.testing.assert_close(found, expected[name], rtol=0, atol=1e-12)


def test_han_takes_pairs_of_relations_that_lead_back_to_their_type() -> None:
    block = HAN(3, 3, schema=EXAMPLE_SCHEMA, order=2)
    assert {r.name(EXAMPLE_SCHEMA) for r in block.relations if r.head == 0} == {
        "cites ∘ cites",
        "written_by ∘ writes",
        "about ∘ of",
    }
    assert all(r.head == r.tail for r in block.relations)
