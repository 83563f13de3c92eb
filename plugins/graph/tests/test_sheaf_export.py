"""Sheaf blocks in traced networks, on graphs of other sizes; what the ONNX format cannot say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from automl_graph.blocks import NodeClassifier, Sheaf
from automl_graph.signal import Graph, GraphFormat
from torch import Tensor, nn

from automl.elastic import specialise

AXES = ({0: torch.export.Dim("nodes")}, {1: torch.export.Dim("edges")})


class Network(nn.Module):
    """A block and a head between tensors."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block
        self.head = NodeClassifier(4, 3)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        logits: Tensor = self.head(self.block(Graph(x, edge_index)))
        return logits


def traced(**options: object) -> tuple[nn.Module, torch.export.ExportedProgram]:
    torch.manual_seed(0)
    fixed = {"stalk": 2, "layers": 1, "hidden": 3} | options
    model = specialise(Network(Sheaf(5, 4, **fixed))).eval()  # type: ignore[arg-type]
    program = torch.export.export(
        model, GraphFormat().example(7, 5, torch.Generator().manual_seed(1)), dynamic_shapes=AXES
    )
    assert not [node for node in program.graph.nodes if "automl" in str(node.target)]
    return model, program


@pytest.mark.parametrize(
    "options",
    [
        {"map_type": "general", "normalisation": "augmented"},
        {"map_type": "bundle", "orth_map": "cayley", "edge_weights": True},
        {"map_type": "bundle", "orth_map": "matrix_exp", "layers": 2, "linear": True},
    ],
    ids=lambda options: "-".join(map(str, options.values())),
)
def test_traced_network_takes_graphs_of_any_size(options: dict[str, object]) -> None:
    model, program = traced(**options)
    generator = torch.Generator().manual_seed(2)
    for nodes in (1, 2, 7, 40):
        inputs = GraphFormat().example(nodes, 5, generator)
        with torch.no_grad():
            torch.testing.assert_close(program.module()(*inputs), model(*inputs), rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # torch's ONNX exporter warns about its own code
@pytest.mark.parametrize(
    "options",
    [
        {"map_type": "diag", "plus_dim": True, "minus_dim": True},
        {"map_type": "bundle", "orth_map": "householder", "edge_weights": True},
        {"map_type": "bundle", "orth_map": "euler"},
        {"map_type": "general", "normalisation": "degree"},
    ],
    ids=lambda options: "-".join(map(str, options.values())),
)
def test_onnx_file_takes_graphs_of_any_size(options: dict[str, object], tmp_path: Path) -> None:
    model, program = traced(**options)
    path = tmp_path / "model.onnx"
    converted = torch.onnx.export(
        program, dynamo=True, dynamic_shapes=AXES, input_names=["x", "edge_index"], verbose=False
    )
    assert converted is not None
    converted.save(str(path))
    session = onnxruntime.InferenceSession(path)
    generator = torch.Generator().manual_seed(2)
    for nodes in (1, 2, 7, 40):
        x, edge_index = GraphFormat().example(nodes, 5, generator)
        with torch.no_grad():
            expected = model(x, edge_index)
        (found,) = session.run(None, {"x": x.numpy(), "edge_index": edge_index.numpy()})
        np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "options",
    [
        {"map_type": "general"},
        {"map_type": "bundle", "orth_map": "cayley"},
        {"map_type": "bundle", "orth_map": "matrix_exp"},
    ],
    ids=lambda options: "-".join(map(str, options.values())),
)
def test_onnx_has_no_eigenvalues_solver_or_matrix_exponential(options: dict[str, object]) -> None:
    """A limitation: these maps are exported as pt2 only."""
    _, program = traced(**options)
    with pytest.raises(Exception, match=r"(?i)convert|onnx|decomposition|dispatch"):
        torch.onnx.export(program, dynamo=True, dynamic_shapes=AXES, verbose=False)
