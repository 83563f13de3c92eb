from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from automl.report import front_table
from automl.report.axis import Axis
from automl.report.record import read_run


def rendered(folder: Path, limit: int | None = None) -> str:
    console = Console(width=140, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    with console.file:
        console.print(front_table(read_run(folder), limit=limit))
    return console.export_text()


def test_table_lists_every_member_cheapest_first(make_run: Callable[..., Path]) -> None:
    folder = make_run()
    text = rendered(folder)
    members = json.loads((folder / "front.json").read_text())["members"]
    order = sorted(members, key=lambda m: m["measured"]["latency"]["value"])
    places = [text.index(m["id"]) for m in order]
    assert places == sorted(places)
    knee = json.loads((folder / "front.json").read_text())["picks"]["knee"]
    line = next(line for line in text.splitlines() if knee in line)
    assert "knee" in line
    value = next(m for m in members if m["id"] == knee)
    assert Axis("error").format(value["test"]["error"]) in line
    assert Axis("latency", "ms").format(value["measured"]["latency"]["value"]) in line


def test_long_table_is_thinned_but_keeps_ends_and_picks(make_run: Callable[..., Path]) -> None:
    folder = make_run(trials=300, objectives=("error", "latency", "params"))
    content = json.loads((folder / "front.json").read_text())
    text = rendered(folder, limit=5)
    shown = [m["id"] for m in content["members"] if m["id"] in text]
    assert 5 <= len(shown) < len(content["members"])
    assert set(content["picks"].values()) <= set(shown)
    assert f"{len(content['members']) - len(shown)} more" in text


@pytest.mark.parametrize(
    ("axis", "label"),
    [
        (Axis("error"), "validation error (%)"),
        (Axis("latency", "ms"), "latency (ms)"),
        (Axis("params"), "parameters"),
        (Axis("size", "B"), "model size (B)"),
        (Axis("custom", "J"), "custom (J)"),
    ],
)
def test_axes_are_labelled_with_their_unit(axis: Axis, label: str) -> None:
    assert axis.label == label


def test_predicted_values_stand_beside_measured_ones_and_disagreement_is_told(make_run: Callable[..., Path]) -> None:
    folder = make_run()
    content = json.loads((folder / "front.json").read_text())
    assert "predicted" not in rendered(folder)
    for number, member in enumerate(content["members"]):
        measured = member["measured"]["latency"]
        member["predicted"] = {"latency": {**measured, "value": 77.7, "agrees": number != 0}}
    (folder / "front.json").write_text(json.dumps(content))
    lines = rendered(folder).splitlines()
    assert sum("77.7 ms" in line for line in lines) == len(content["members"])
    told = [line for line in lines if "latency is not as predicted" in line]
    assert len(told) == 1
    assert content["members"][0]["id"] in told[0]


def test_kind_is_a_column_where_several_kinds_competed(make_run: Callable[..., Path]) -> None:
    folder = make_run()
    assert " kind " not in rendered(folder)
    content = json.loads((folder / "front.json").read_text())
    content["members"][0]["kind"] = "ticket"
    (folder / "front.json").write_text(json.dumps({**content, "kinds": {"subnet": 9, "ticket": 2}}))
    text = rendered(folder)
    assert " kind " in text
    lines = {m["id"]: next(line for line in text.splitlines() if m["id"] in line) for m in content["members"]}
    assert all(content["members"][i]["kind"] in lines[m["id"]] for i, m in enumerate(content["members"]))
