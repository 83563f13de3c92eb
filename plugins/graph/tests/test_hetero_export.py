"""Exported networks on heterogeneous graphs of other sizes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from automl_graph.hetero import HAN, HGT, HeteroClassifier, HeteroFormat, HeteroMLP, LATTEHead
from automl_graph.hetero.schema import EXAMPLE_SCHEMA
from torch import Tensor, nn

from automl.elastic import specialise


class Network(nn.Module):
    """Blocks in a row between tensors."""

    def __init__(self, parts: list[nn.Module]) -> None:
        super().__init__()
        self.parts = nn.Sequential(*parts)
        self.format = HeteroFormat()

    def forward(self, *tensors: Tensor) -> Tensor:
        logits: Tensor = self.parts(self.format.pack(*tensors))
        return logits


SCHEMA = EXAMPLE_SCHEMA
TYPES, RELATIONS = len(SCHEMA.types), len(SCHEMA.relations)
AXES = ((*[{0: torch.export.Dim.AUTO}] * TYPES, *[{1: torch.export.Dim.AUTO}] * RELATIONS),)
SIZES = (1, 2, 7, 40)
ONE_STEP: dict[str, Callable[[], list[nn.Module]]] = {
    "rivals": lambda: [
        HeteroMLP(4, 6, schema=SCHEMA),
        HAN(6, 5, schema=SCHEMA, heads=2, head_width=3),
        HGT(5, 5, schema=SCHEMA, heads=2, head_width=3),
        HeteroClassifier(5, 3, schema=SCHEMA),
    ],
    "first order": lambda: [LATTEHead(4, 3, schema=SCHEMA, orders=1, head_width=3, heads=2)],
}
JOINING = {
    "sampled": lambda: [LATTEHead(4, 3, schema=SCHEMA, orders=2, head_width=3, joined_edges="sampled")],
    "meta-paths": lambda: [
        HAN(4, 5, schema=SCHEMA, order=2, heads=2, head_width=3),
        HeteroClassifier(5, 3, schema=SCHEMA),
    ],
}


def exported(parts: list[nn.Module]) -> tuple[nn.Module, torch.export.ExportedProgram, torch.Generator]:
    torch.manual_seed(0)
    model = specialise(Network(parts)).eval()
    generator = torch.Generator().manual_seed(1)
    program = torch.export.export(model, HeteroFormat().example(12, 4, generator), dynamic_shapes=AXES)
    return model, program, generator


@pytest.mark.parametrize("name", JOINING)
def test_program_joins_relations_of_graphs_of_any_size(name: str) -> None:
    model, program, generator = exported(JOINING[name]())
    assert not [node for node in program.graph.nodes if "automl" in str(node.target)]
    for nodes in SIZES:
        tensors = HeteroFormat().example(nodes, 4, generator)
        with torch.no_grad():
            torch.testing.assert_close(program.module()(*tensors), model(*tensors), rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # torch's ONNX exporter warns about its own code
@pytest.mark.parametrize("name", ONE_STEP)
def test_onnx_takes_graphs_of_any_size(name: str, tmp_path: Path) -> None:
    import onnxruntime

    model, program, generator = exported(ONE_STEP[name]())
    names = [*SCHEMA.types, *(relation.name for relation in SCHEMA.relations)]
    converted = torch.onnx.export(program, dynamo=True, input_names=names, verbose=False)
    assert converted is not None
    path = tmp_path / "model.onnx"
    converted.save(str(path))
    session = onnxruntime.InferenceSession(path)
    for nodes in SIZES[2:]:
        tensors = HeteroFormat().example(nodes, 4, generator)
        (found,) = session.run(None, {n: t.numpy() for n, t in zip(names, tensors, strict=True)})
        with torch.no_grad():
            np.testing.assert_allclose(found, model(*tensors).numpy(), rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_onnx_cannot_join_relations() -> None:
    _, program, _ = exported([LATTEHead(4, 3, schema=SCHEMA, orders=2, head_width=3)])
    with pytest.raises(torch.onnx.errors.OnnxExporterError):
        torch.onnx.export(program, dynamo=True, verbose=False)
