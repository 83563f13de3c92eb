from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from automl_cli.main import run

from automl.host import Host
from automl.job_config import JobConfig
from automl.training.config import TrainingConfig

Automl = Callable[..., Any]


@pytest.mark.parametrize(
    "line",
    [
        "families", "plugins", "plugins --kind searcher", "spaces", "spaces image/tiny", "doctor", "front done",
        "report done", "check image/tiny", "schema job", "schema space", "init-plugin automl-made-up",
    ],
)  # fmt: skip
def test_json_is_one_document_and_all_of_standard_output(automl: Automl, finished_run: Path, line: str) -> None:
    ended = automl(*line.split(), "--json")
    assert ended.code == 0, ended.err
    assert ended.json


def test_front_prints_the_members_cheapest_first(automl: Automl, finished_run: Path) -> None:
    members = json.loads((finished_run / "front.json").read_text())["members"]
    for name in ("done", str(finished_run)):
        ended = automl("front", name)
        assert ended.code == 0
        places = [ended.out.index(member["id"]) for member in members]
        assert places == sorted(places)
        assert "6.00 %" in ended.out
        assert "30 k" in ended.out
    assert automl("front", "done", "--json").json["members"] == members


def test_runs_folder_comes_from_option_or_environment(
    automl: Automl, finished_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = finished_run.parent.rename(finished_run.parent.with_name("elsewhere"))
    assert automl("front", "done").code == 2
    assert automl("front", "done", "--runs", str(elsewhere)).code == 0
    monkeypatch.setenv("AUTOML_RUNS", str(elsewhere))
    assert automl("front", "done").code == 0


def test_report_writes_the_page_and_prints_its_path(automl: Automl, finished_run: Path) -> None:
    ended = automl("report", "done")
    assert ended.code == 0
    assert ended.out == "runs/done/report.html\n"
    assert (finished_run / "report.html").is_file()
    assert automl("report", "done", "--json").json == {
        "report": "runs/done/report.html",
        "picture": "runs/done/front.png",
    }


def test_lists_name_everything_that_is_installed(automl: Automl) -> None:
    host = Host.load()
    families = automl("families").out
    assert all(name in families for name in host.components("family"))
    graph_only = automl("families", "--signal", "graph", "--json").json
    assert {entry["accepts"] for entry in graph_only} == {"graph"}
    listed = automl("plugins", "--json").json["components"]
    kinds = ("family", "searcher", "objective", "exporter", "runtime")
    wanted = {(kind, name) for kind in kinds for name in host.components(kind)}
    assert wanted <= {(entry["kind"], entry["name"]) for entry in listed}
    assert [entry["name"] for entry in automl("spaces", "--json").json] == list(host.components("space"))


def test_space_shows_dimensions_exact_size_and_diagram(automl: Automl) -> None:
    as_json = automl("spaces", "image/tiny", "--json").json
    text = automl("spaces", "image/tiny").out
    assert f"{as_json['size']:,} architectures" in text
    assert "└── stage2" in text
    for name in as_json["skeleton"]["slots"]:
        assert name in text
    assert "stage2.depth is 2, 3" in text


def test_check_accepts_what_search_would_accept(automl: Automl, tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(
        "space: image/tiny\ntrials: 7\nobjectives: [error, params]\nconstraints: [params<=50k]\n"
    )
    facts = automl("check", "job.yaml", "--json").json
    assert facts["ok"] is True
    assert facts["objectives"] == ["error", "params"]
    assert "job.yaml: fine" in automl("check", "job.yaml").out
    assert not (tmp_path / "runs").exists()


def test_schemas_hold_every_key_and_refuse_others(automl: Automl) -> None:
    job = automl("schema", "job").json
    assert set(job["properties"]) == set(JobConfig.model_fields)
    assert job["additionalProperties"] is False
    assert {"type": "string"} in job["properties"]["time_budget"]["anyOf"]  # 10m
    assert set(job["$defs"]["TrainingConfig"]["properties"]) == set(TrainingConfig.model_fields)
    space = automl("schema", "space").json
    assert "from" in space["$defs"]["Slot"]["properties"]
    assert space["$defs"]["Slot"]["required"] == ["from", "blocks"]
    stitched = automl("schema", "space", "--kind", "stitched").json
    assert "anchors" in stitched["required"]
    assert stitched["properties"]["kind"]["const"] == "stitched"


def test_schema_of_an_unknown_kind_is_a_mistake(automl: Automl) -> None:
    unknown = automl("schema", "space", "--kind", "stitch")
    assert (unknown.code, "stitched" in unknown.err) == (2, True)
    misplaced = automl("schema", "job", "--kind", "stitched")
    assert (misplaced.code, "schema space --kind stitched" in misplaced.err) == (2, True)


def test_init_plugin_writes_a_distribution(automl: Automl, tmp_path: Path) -> None:
    ended = automl("init-plugin", "automl-wavelets", "--into", "made")
    assert ended.code == 0
    assert (tmp_path / "made" / "pyproject.toml").is_file()
    assert "pip install -e made" in ended.out


def test_version_and_no_arguments(automl: Automl, capsys: pytest.CaptureFixture[str]) -> None:
    assert automl("--version").out.startswith("automl ")
    ended = automl()
    assert "search" in ended.out + ended.err
    assert run(["-h"]) == 0
