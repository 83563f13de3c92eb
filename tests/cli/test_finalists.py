"""A search whose best architectures are trained alone, as a user sees it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("automl_vision", reason="the space of this run uses blocks of automl-vision")

Automl = Callable[..., Any]
SEARCH = ["search", "--space", "image/tiny", "--objective", "error", "--objective", "params", "--epochs", "1"]
SEARCH += ["--trials", "4", "--candidates", "subnets,finalists", "--set", "finalists.members=2", "--name", "one"]


def test_finalists_of_a_search_are_shown_reported_exported_and_refused_where_they_do_not_fit(
    automl: Automl, tmp_path: Path
) -> None:
    ended = automl(*SEARCH)
    assert ended.code == 0, ended.err
    assert "Finalists, trained alone" in ended.out
    document = automl("front", "one", "--json").json
    assert document["kinds"] == {"subnet": 4, "finalist": 2}
    assert len(document["finalists"]) == 2
    assert all({"shared", "measured", "best_epoch"} <= set(entry) for entry in document["finalists"])
    found = [m for m in document["members"] if m["kind"] == "finalist"]
    assert found  # one more epoch of its own makes the best of an epoch of sharing better
    name = found[-1]["id"]

    exported = automl("export", "one", "--pick", name, "--to", "safetensors")
    assert exported.code == 0, exported.err
    assert (tmp_path / "runs" / "one" / "exports" / name / "manifest.json").is_file()
    assert automl("measure", "one", "--pick", name, "--runtime", "eager").code == 0
    assert automl("report", "one").code == 0

    pruned = automl("prune", "one", "--pick", name)
    assert (pruned.code, f"{name} is a finalist" in pruned.err) == (2, True)
    predicted = automl("predict", "one", "--arch", name)
    assert (predicted.code, "nor the id of one of 4 measured architectures" in predicted.err) == (2, True)
    assert "Traceback" not in pruned.err + predicted.err

    again = automl(*SEARCH)
    assert again.code == 0
    assert automl("front", "one", "--json").json == document
