"""Where many families compete, each has the chance to show what it does with weights of its own."""

from __future__ import annotations

import json
from pathlib import Path

from automl_graph import plugin
from automl_graph.tasks import NodeClassification

from automl.host import Host
from automl.job import export_picked, run_job
from automl.job_config import resolve_job

_SPACE = """
space: families
input: graph
slots:
  first:  {from: input, blocks: [graph.mlp, graph.gcn, graph.sage], width: [4, 8]}
  second: {from: first, blocks: [graph.gat, graph.mlp], width: [3, 5], depth: [1, 2]}
output: second
"""


def test_each_family_of_each_slot_has_its_finalist_with_new_weights(tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_text(_SPACE)
    settings = {
        "space": str(tmp_path / "space.yaml"),
        "data": "karate",
        "objectives": ["error", "params"],
        "candidates": ["subnets", "finalists"],
        "finalists": {"members": 6, "training": {"epochs": 3}},
        "trials": 16,
        "training": {"epochs": 2},
        "task_options": {"steps_per_epoch": 5},
    }
    host = Host.load(entry_points=False, plugins=[plugin])
    run = run_job(resolve_job(settings=settings), tmp_path / "runs" / "one", host=host)
    results = [json.loads(p.read_text()) for p in sorted(run.path("finalists").glob("*/result.json"))]
    found = {(slot, name) for result in results for slot, names in result["families"].items() for name in names}
    assert found == {
        ("first", "graph.mlp"),
        ("first", "graph.gcn"),
        ("first", "graph.sage"),
        ("second", "graph.gat"),
        ("second", "graph.mlp"),
    }
    assert NodeClassification.finalist_weights == "new"
    assert {result["weights"] for result in results} == {"new"}
    suited = {**NodeClassification.finalist_training, "dropout": None, "epochs": 3}
    expected = [suited, *({**suited, **settings} for settings in NodeClassification.finalist_alternatives)]
    for settings in expected:
        assert any(result["training"].items() >= settings.items() for result in results)
    for result in results:
        assert any(result["training"].items() >= settings.items() for settings in expected)

    members = run.read_json("front.json")["members"]
    best = min(r["measured"]["error"]["value"] for r in results)
    assert min(m["searched"]["error"] for m in members) <= best  # the front is never worse than a finalist
    for member in [m for m in members if m["kind"] == "finalist"][:1]:
        (exported,) = export_picked(run, member["id"], ["safetensors"], host=host)
        assert exported.manifest["trained_alone"]["weights"] == "new"
