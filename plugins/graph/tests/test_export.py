"""Every option of every block in one traced network, on graphs of other sizes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from automl_graph.blocks import (
    APPNP,
    ARMA,
    DAGNN,
    GAT,
    GCN,
    GCNII,
    GIN,
    LINKX,
    MLP,
    SAGE,
    Cheb,
    GATv2,
    GraphTransformer,
    NodeClassifier,
)
from automl_graph.signal import Graph, GraphFormat
from torch import Tensor, nn

from automl.elastic import specialise

BLOCKS: dict[str, Callable[[], list[nn.Module]]] = {
    "convolutions": lambda: [
        GCN(5, 4),
        GCN(4, 3, norm="row", self_loops=False),
        SAGE(3, 4, aggregation="mean"),
        SAGE(4, 4, aggregation="sum", residual=True),
        SAGE(4, 6, aggregation="max", batch_norm=True),
        MLP(6, 4),
    ],
    "attention": lambda: [
        GAT(5, 4, heads=2, head_width=3),
        GATv2(4, 3, heads=3, head_width=2),
        GraphTransformer(3, 4, heads=2, head_width=3),
    ],
    "filters": lambda: [
        Cheb(5, 4, orders=3),
        ARMA(4, 3, stacks=2, steps=2),
        GIN(3, 6, hidden=5, eps=0.3),
        LINKX(6, 4, hidden=5),
        GCNII(4, 5, layers=3, alpha=0.2),
        APPNP(5, 4, hops=3, alpha=0.2, hidden=6),
    ],
    "propagations": lambda: [
        DAGNN(5, 4, hops=3, hidden=6, mlp_layers=2),
        DAGNN(4, 3, hops=2, mlp_layers=1, gate="softmax", norm="row"),
        DAGNN(3, 6, hops=2, hidden=5, mlp_layers=3, gate="uniform", self_loops=False),
        DAGNN(6, 4, hops=2, hidden=5, mlp_layers=2, gate="last", batch_norm=True),
        DAGNN(4, 4, hops=0, mlp_layers=1),
    ],
}


class Chain(nn.Module):
    """Blocks in a row between tensors."""

    def __init__(self, blocks: list[nn.Module]) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*blocks, NodeClassifier(4, 3))

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        logits: Tensor = self.blocks(Graph(x, edge_index))
        return logits


@pytest.mark.filterwarnings("ignore")  # torch's ONNX exporter warns about its own code
@pytest.mark.parametrize("blocks", BLOCKS)
def test_traced_network_takes_graphs_of_any_size(blocks: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = specialise(Chain(BLOCKS[blocks]())).eval()
    generator = torch.Generator().manual_seed(1)
    axes = ({0: torch.export.Dim("nodes")}, {1: torch.export.Dim("edges")})
    program = torch.export.export(model, GraphFormat().example(7, 5, generator), dynamic_shapes=axes)
    assert not [node for node in program.graph.nodes if "automl" in str(node.target)]

    path = tmp_path / "model.onnx"
    converted = torch.onnx.export(
        program, dynamo=True, dynamic_shapes=axes, input_names=["x", "edge_index"], verbose=False
    )
    assert converted is not None
    converted.save(str(path))
    session = onnxruntime.InferenceSession(path)
    for nodes in (1, 2, 7, 40):
        x, edge_index = GraphFormat().example(nodes, 5, generator)
        with torch.no_grad():
            expected = model(x, edge_index)
            torch.testing.assert_close(program.module()(x, edge_index), expected, rtol=0, atol=1e-5)
        (found,) = session.run(None, {"x": x.numpy(), "edge_index": edge_index.numpy()})
        np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=1e-5)
