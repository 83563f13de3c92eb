"""A whole job on the karate club: search, then exported files on graphs of other sizes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from automl_graph import plugin
from automl_graph.signal import GraphFormat

from automl.host import Host
from automl.job import export_picked, load_supernet, pick, run_job
from automl.job_config import JobConfig
from automl.objectives import count_macs
from automl.run_folder import Run

HOST = Host.load(entry_points=False, plugins=[plugin])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    job = JobConfig(
        space="graph/node",
        data="karate",
        objectives=["error", "macs"],
        trials=6,
        training={"epochs": 3},
    )
    return run_job(job, tmp_path_factory.mktemp("runs") / "karate", host=HOST)


def test_job_finds_a_front_with_test_errors(run: Run) -> None:
    front = run.read_json("front.json")
    assert front["trials"]["complete"] == 6
    assert front["trials"]["failed"] == 0
    assert front["members"]
    for member in front["members"]:
        assert 0 <= member["test"]["error"] <= 1
        assert member["searched"]["macs"] > 0
    assert run.has("report.html")


def test_same_job_gives_the_same_history(run: Run, tmp_path: Path) -> None:
    again = run_job(run.job, tmp_path / "again", host=HOST)
    first, second = (r.read_json("front.json")["members"] for r in (run, again))
    assert [m["architecture"] for m in first] == [m["architecture"] for m in second]
    assert [m["searched"] for m in first] == [m["searched"] for m in second]


def test_macs_count_the_propagation(run: Run) -> None:
    supernet, task, _ = load_supernet(run, HOST)
    found = {}
    for hops in (1, 5):
        architecture = supernet.space.canonical(
            {name: dimension.choices[0] for name, dimension in supernet.space.dimensions.items()}
            | {"message.blocks.0.choice": "graph.dagnn", "message.blocks.0.graph_dagnn.hops": hops}
        )
        found[hops] = count_macs(supernet.extract(architecture), task.example_inputs(1))
    nodes, entries, width = 34, 156 + 34, 16
    assert found[5] - found[1] == 4 * (entries * width + nodes * width)  # a product and a score for each hop


def test_exported_files_reproduce_the_network_on_graphs_of_other_sizes(run: Run) -> None:
    import onnxruntime

    (result,) = export_picked(run, "knee", ["pt2", "onnx", "safetensors"], host=HOST)
    shapes = result.manifest["checked_inputs"]
    assert len({tuple(map(tuple, shape)) for shape in shapes}) == len(shapes) > 1
    for name in ("pt2", "onnx"):
        assert result.manifest["files"][name]["max_abs_error"] < 1e-4

    supernet, _, _ = load_supernet(run, HOST)
    (member,) = pick(run, "knee")
    model = supernet.extract(supernet.space.architecture(member["architecture"]))
    program = torch.export.load(result.paths["pt2"]).module()
    session = onnxruntime.InferenceSession(result.paths["onnx"])
    generator = torch.Generator().manual_seed(0)
    for nodes in (2, 5, 61):
        x, edge_index = GraphFormat().example(nodes, 34, generator)
        with torch.no_grad():
            expected = model(x, edge_index)
            torch.testing.assert_close(program(x, edge_index), expected, rtol=0, atol=1e-5)
        (found,) = session.run(None, {"x": x.numpy(), "edge_index": edge_index.numpy()})
        np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=1e-5)
