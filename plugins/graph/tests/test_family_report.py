"""A job on a graph reports its families and its graph."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from automl_cli.commands.front import show_families
from automl_graph.data.statistics import graph_statistics
from automl_graph.tasks import GraphClassification, NodeClassification

from automl.host import Host
from automl.job import run_job
from automl.job_config import resolve_job
from automl.report import read_run

_SPACE = """
space: families
input: graph
slots:
  message: {from: input, blocks: [graph.mlp, graph.gcn, graph.sage], width: [4, 8], depth: [1, 2]}
output: message
"""


def test_a_job_reports_its_families_and_its_graph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "space.yaml").write_text(_SPACE)
    settings = {
        "space": "space.yaml",
        "data": "karate",
        "objectives": ["error", "params"],
        "trials": 12,
        "training": {"epochs": 2},
        "task_options": {"steps_per_epoch": 5},
    }
    run = run_job(resolve_job(settings=settings), tmp_path / "runs" / "one", host=Host.load())
    rows = run.read_json("front.json")["families"]
    assert [row["family"] for row in rows] == ["graph.mlp", "graph.gcn", "graph.sage"]
    assert {row["slot"] for row in rows} == {"message"}
    assert sum(row["trained"] for row in rows) == pytest.approx(1)
    assert sum(row["measured"] for row in rows) == pytest.approx(1)
    assert min(row["trained"] for row in rows) > 0.1
    counts = [record["families"]["message"] for record in run.read_json("training.json")]
    assert sum(sum(c.values()) for c in counts) >= 2 * 5 * 5  # epochs, steps, subnetworks of at least one block
    page = (run.folder / "report.html").read_text()
    assert '<section id="families">' in page
    assert "<dt>edge homophily</dt>" in page
    show_families(read_run(run.folder), as_json=True)
    assert json.loads(capsys.readouterr().out) == rows
    show_families(read_run(run.folder), as_json=False)
    assert "graph.sage" in capsys.readouterr().out


def test_statistics_of_the_karate_club_are_the_known_ones() -> None:
    found = NodeClassification.load("karate", seed=0).statistics()
    assert (found["nodes"], found["edges"], found["largest degree"], found["components"]) == (34, 156, 17, 1)
    assert found["mean degree"] == pytest.approx(4.588, abs=1e-3)
    assert found["isolated nodes"] == 0
    assert 0.8 < found["edge homophily"] < 1


def test_a_graph_without_edges_has_only_isolated_nodes() -> None:
    found = graph_statistics(torch.empty(2, 0, dtype=torch.long), 3, torch.tensor([0, 1, 1]))
    assert (found["isolated nodes"], found["components"], found["largest degree"]) == (3, 3, 0)
    assert found["edge homophily"] is None


def test_direction_does_not_matter_for_components_and_self_loops_do_not_connect() -> None:
    found = graph_statistics(torch.tensor([[0, 2, 4], [1, 1, 4]]), 5)
    assert (found["components"], found["isolated nodes"], found["self loops"]) == (3, 2, 1)


def test_statistics_of_many_graphs_are_means_and_maxima() -> None:
    found = GraphClassification.load("cycles-or-trees", seed=0).statistics()
    assert found["graphs"] == 300
    assert found["nodes"]["largest"] >= found["nodes"]["mean"] > 2
