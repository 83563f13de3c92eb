"""Whole jobs on graphs: search, front, files that take any number of graphs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from automl_graph import plugin

from automl.host import Host
from automl.job import export_picked, load_supernet, pick, run_job
from automl.job_config import JobConfig
from automl.run_folder import Run

HOST = Host.load(entry_points=False, plugins=[plugin])
SPACE = """
space: small
input: graph
slots:
  message:
    from: input
    blocks: [{graph.sage: {aggregation: [mean, sum]}}, {graph.kpath: {k: [1, 2]}}, {graph.lcm: {max_degree: 8}}]
    width: [8, 16]
    depth: [1, 2]
output: message
head: {graph.readout: {readout: [sum, mean, lcm_reg], max_nodes: 32}}
"""


@pytest.fixture(scope="module", params=["cycles-or-trees", "4-cycles"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("level")
    (folder / "space.yaml").write_text(SPACE)
    job = JobConfig(
        space=str(folder / "space.yaml"),
        data=request.param,
        objectives=["error", "params"],
        trials=6,
        training={"epochs": 2, "batch_size": 64},
    )
    return run_job(job, folder / "run", host=HOST)


def test_job_finds_a_front_with_test_errors(run: Run) -> None:
    front: dict[str, Any] = run.read_json("front.json")
    assert front["trials"]["failed"] == 0
    assert front["members"]
    for member in front["members"]:
        assert 0 <= member["test"]["error"] <= 1
    assert run.has("report.html")


@pytest.mark.slow
def test_exported_program_takes_other_numbers_of_graphs(run: Run) -> None:
    (result,) = export_picked(run, "knee", ["pt2", "safetensors"], host=HOST)
    assert result.manifest["files"]["pt2"]["max_abs_error"] < 1e-4
    supernet, task, _ = load_supernet(run, HOST)
    (member,) = pick(run, "knee")
    model = supernet.extract(supernet.space.architecture(member["architecture"]))
    program = torch.export.load(result.paths["pt2"]).module()
    for graphs in (1, 4, 17):
        inputs = task.example_inputs(graphs)
        with torch.no_grad():
            expected = model(*inputs)
            assert expected.shape == (graphs, task.outputs)
            torch.testing.assert_close(program(*inputs), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # torch's ONNX exporter warns about its own code
@pytest.mark.parametrize(
    ("block", "readout"),
    [("graph.sage", "mean"), ("graph.kpath", "sum"), ("graph.lcm", "lcm_reg")],
)
def test_onnx_files_take_other_numbers_of_graphs(block: str, readout: str, tmp_path: Path) -> None:
    import onnxruntime

    from automl.objectives.runtimes.onnx_conversion import to_onnx
    from automl.objectives.trace import Trace
    from automl.supernet import build_supernet, load_skeleton

    (tmp_path / "space.yaml").write_text(SPACE)
    task = HOST.find("task", "graph-classification").load().load("cycles-or-trees", seed=0)
    supernet = build_supernet(load_skeleton(str(tmp_path / "space.yaml"), HOST), task, HOST)
    values = {name: d.choices[-1] for name, d in supernet.space.dimensions.items()}
    chosen = {"message.depth": 1, "message.blocks.0.choice": block, "head.readout.choice": readout}
    chosen["message.blocks.0.graph_lcm.aggregate.choice"] = "lcm"
    model = supernet.extract(supernet.space.canonical({**values, **chosen}))
    proto = to_onnx(model, Trace.of(task))
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    for graphs in (1, 5):
        inputs = task.example_inputs(graphs)
        with torch.no_grad():
            expected = model(*inputs)
        (found,) = session.run(None, {i.name: t.numpy() for i, t in zip(session.get_inputs(), inputs, strict=False)})
        np.testing.assert_allclose(found, expected.numpy(), rtol=1e-4, atol=1e-4)
