"""The comparison of families on whole graphs: complete, and fair to each candidate."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
from automl_graph import plugin
from automl_graph.tasks import GraphClassification

from automl.host import Host

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "graph" / "level.py"


@pytest.fixture(scope="module")
def level() -> ModuleType:
    if not SCRIPT.exists():
        pytest.skip("the benchmarks are part of the repository, not of the distribution")
    spec = importlib.util.spec_from_file_location("benchmark_graph_level", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up by name
    spec.loader.exec_module(module)
    return module


def test_families_are_those_that_are_installed(level: ModuleType) -> None:
    found = level.families(Host.load(entry_points=False, plugins=[plugin]))
    assert {"graph.gcn", "graph.kpath", "graph.lcm", "graph.mlp", "graph.sage", "torch-geometric GIN"} <= set(found)
    assert "graph.classifier" not in found


def test_score_of_a_family_does_not_depend_on_which_others_run(level: ModuleType) -> None:  # check 13 of Li et al.
    known = level.families(Host.load(entry_points=False, plugins=[plugin]))
    options = {"fold": 2, "few_shot": 20}

    def score(task: GraphClassification, family: str) -> dict[str, float]:
        found: dict[str, float] = level.train(task, lambda width: known[family]("MUTAG", width), 3, 1)
        del found["seconds_per_epoch"]
        return found

    alone = score(GraphClassification.load("cycles-or-trees", seed=3, options=options), "graph.kpath")
    shared = GraphClassification.load("cycles-or-trees", seed=3, options=options)
    score(shared, "graph.sage")
    score(shared, "graph.lcm")
    assert score(shared, "graph.kpath") == alone


def test_table_ranks_families_by_set(level: ModuleType) -> None:
    rows = [
        {"set": s, "family": f, "error": e}
        for s, f, e in [("A", "x", 0.1), ("A", "x", 0.3), ("A", "y", 0.4), ("B", "x", 0.5), ("B", "y", 0.25)]
    ]
    lines = level.table(rows).splitlines()
    assert lines[2] == "| x | 80.0 ± 14.1 | 50.0 ± 0.0 | 1.5 |"
    assert lines[3] == "| y | 60.0 ± 0.0 | 75.0 ± 0.0 | 1.5 |"
