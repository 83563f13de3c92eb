from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from automl.job_config import JobConfig
from automl.report import read_run, write_report
from automl.report.stitching import compare_stitches, interpolate, stitch_table
from automl.search.ledger import Ledger
from automl.search.measurement import Measurement
from automl.space import Categorical, SearchSpace

MEASURED = {
    "a": (0.30, 1000.0),
    "a:0.1>b:0.2": (0.19, 2000.0),  # the line is at 0.20 here
    "a:0.0>b:0.1": (0.14, 2500.0),  # and at 0.15 here
    "b": (0.10, 3000.0),
    "b:0.0>c:0.1": (0.095, 4000.0),  # at 0.09: worse
    "c": (0.08, 5000.0),
}


@pytest.fixture
def stitched_run(tmp_path: Path) -> Path:
    """Returns a run folder whose ledger holds every network of a stitched space."""
    folder = tmp_path / "runs" / "stitched"
    folder.mkdir(parents=True)
    (folder / "job.yaml").write_text(yaml.safe_dump(JobConfig(objectives=["error", "macs"]).to_dict()))
    (folder / "space.json").write_text(json.dumps({"kind": "stitched"}))
    space = SearchSpace.build({"stitch": Categorical(*MEASURED)})
    members = []
    with Ledger(folder / "ledger.log", space=space, objectives=["error", "macs"]) as ledger:
        for number, architecture in enumerate(space.enumerate()):
            values = MEASURED[str(architecture["stitch"])]
            ledger.append(Measurement(architecture=architecture, values=values))
            if architecture["stitch"] != "b:0.0>c:0.1":
                measured = {name: {"value": v} for name, v in zip(("error", "macs"), values, strict=True)}
                members.append(
                    {"id": architecture.id, "number": number, "architecture": dict(architecture), "measured": measured}
                )
    objectives = [{"name": "error", "unit": ""}, {"name": "macs", "unit": ""}]
    (folder / "front.json").write_text(json.dumps({"objectives": objectives, "members": members}))
    return folder


def test_stitches_are_compared_with_the_line_between_their_neighbouring_anchors(stitched_run: Path) -> None:
    comparison = compare_stitches(read_run(stitched_run, trials=False))
    assert comparison is not None
    lines = {row.stitch: row.line for row in comparison.stitches}
    assert lines == {
        "a:0.1>b:0.2": pytest.approx(0.20),
        "a:0.0>b:0.1": pytest.approx(0.15),
        "b:0.0>c:0.1": pytest.approx(0.09),
    }
    assert (comparison.better, len(comparison.stitches)) == (2, 3)
    assert comparison.sentence.startswith("2 of 3 stitches have a lower error than the line between the 3 anchors")


def test_table_and_page_show_anchors_and_the_stitches_of_the_front(stitched_run: Path) -> None:
    record = read_run(stitched_run)
    comparison = compare_stitches(record)
    assert comparison is not None
    assert stitch_table(comparison, record.axes).row_count == 5
    write_report(stitched_run)
    page = (stitched_run / "report.html").read_text(encoding="utf-8")
    assert 'id="stitching"' in page
    assert "a:0.1&gt;b:0.2" in page
    assert "b:0.0&gt;c:0.1" not in page.split('id="stitching"')[1].split("</section>")[0]
    assert "-1.00 points" in page


def test_other_runs_and_other_objectives_are_not_compared(stitched_run: Path) -> None:
    front = json.loads((stitched_run / "front.json").read_text())
    front["objectives"][1]["name"] = "params"
    (stitched_run / "front.json").write_text(json.dumps(front))
    assert compare_stitches(read_run(stitched_run, trials=False)) is None
    front["objectives"][1]["name"] = "macs"
    (stitched_run / "front.json").write_text(json.dumps(front))
    (stitched_run / "space.json").write_text(json.dumps({"slots": {}}))
    assert compare_stitches(read_run(stitched_run, trials=False)) is None


@given(
    anchors=st.lists(
        st.tuples(st.integers(1, 1000), st.floats(0, 1)), min_size=2, max_size=5, unique_by=lambda a: a[0]
    ),
    cost=st.floats(0, 1100),
)
def test_the_line_goes_through_the_anchors_and_stays_between_them(
    anchors: list[tuple[int, float]], cost: float
) -> None:
    points = sorted((float(macs), error) for macs, error in anchors)
    for macs, error in points:
        assert interpolate(points, macs) == pytest.approx(error)
    errors = [error for _, error in points]
    assert min(errors) - 1e-12 <= interpolate(points, cost) <= max(errors) + 1e-12
