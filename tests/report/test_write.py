from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from automl.errors import RunError
from automl.report import write_report
from automl.report.record import read_run
from automl.search.ledger import Ledger
from automl.search.measurement import Measurement
from automl.space import Ordinal, SearchSpace

MakeRun = Callable[..., Path]
EVIL = "</script><script>alert(1)</script>"


class Page(HTMLParser):
    """What a browser sees: tags with attributes, sections, text outside scripts, and scripts."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.text = ""
        self._raw = ""
        self.feed(path.read_text(encoding="utf-8"))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._raw = tag if tag in ("script", "style") else ""

    def handle_endtag(self, tag: str) -> None:
        self._raw = ""

    def handle_data(self, data: str) -> None:
        if self._raw == "script":
            self.scripts.append(data)
        elif not self._raw:
            self.text += data

    def sections(self) -> list[str | None]:
        return [attributes.get("id") for tag, attributes in self.tags if tag == "section" and "id" in attributes]

    def data(self) -> Any:
        return json.loads(self.scripts[0])


def test_page_of_a_finished_run_has_every_section(make_run: MakeRun) -> None:
    page = Page(write_report(make_run()))
    assert page.sections() == [
        "front", "table", "architecture", "training", "progress", "constraints", "context", "failures", "reproduce",
    ]  # fmt: skip
    assert "Example CPU" in page.text
    assert "automl search job.yaml --name digits-tiny" in page.text
    assert "latency<=1.2ms" in page.text


def test_page_holds_every_trial_and_every_member_with_its_values(make_run: MakeRun) -> None:
    folder = make_run(trials=57, failing=4)
    page = Page(write_report(folder))
    data = page.data()
    record = read_run(folder)
    assert len(data["trials"]["ids"]) == 53
    assert data["trials"]["numbers"] == list(range(4, 57))
    np.testing.assert_allclose(data["trials"]["columns"][0], 100 * record.trials.values[:, 0], rtol=1e-4)
    np.testing.assert_allclose(data["trials"]["columns"][1], record.trials.values[:, 1], rtol=1e-4)
    assert sorted(set(range(53)) - set(data["trials"]["infeasible"])) == np.flatnonzero(record.trials.feasible).tolist()
    stored = json.loads((folder / "front.json").read_text())
    assert {m["id"] for m in data["front"]} == {m["id"] for m in stored["members"]}
    rows = [attributes["data-id"] for tag, attributes in page.tags if tag == "tr" and "data-id" in attributes]
    by_id = {m["id"]: m["measured"]["latency"]["value"] for m in stored["members"]}
    assert [by_id[str(row)] for row in rows] == sorted(by_id.values())


def test_page_opens_offline(make_run: MakeRun) -> None:
    page = Page(write_report(make_run()))
    for tag, attributes in page.tags:
        for name in ("src", "href"):
            target = attributes.get(name)
            assert target is None or target.startswith(("#", "data:")), (tag, target)
    policy = next(a["content"] for t, a in page.tags if t == "meta" and "http-equiv" in a)
    assert policy is not None
    assert "default-src 'none'" in policy
    assert "connect-src" not in policy
    assert "http" not in policy


def test_names_of_users_and_plugins_stay_text(make_run: MakeRun) -> None:
    folder = make_run(name="run <b>&", data=EVIL)
    failing = Page(write_report(folder))
    plain = Page(write_report(make_run(name="plain")))
    assert len(failing.scripts) == len(plain.scripts) == 3
    assert EVIL in failing.text
    assert "ValueError: <b>NaN</b>" in failing.text
    assert "b" not in {tag for tag, _ in failing.tags} - {tag for tag, _ in plain.tags}
    assert next(a for t, a in failing.tags if t == "svg")


def test_evil_ids_and_objectives_cannot_leave_the_data(make_run: MakeRun) -> None:
    folder = make_run(trials=0, finished=False)
    content = {
        "objectives": [{"name": EVIL, "unit": EVIL}],
        "members": [{"id": EVIL, "architecture": {f"{EVIL}.width": EVIL}, "searched": {EVIL: 1.5}}],
        "picks": {EVIL: EVIL},
        "context": {EVIL: {EVIL: EVIL}},
        "job": {"space": EVIL},
    }
    (folder / "front.json").write_text(json.dumps(content))
    (folder / "ranges.json").write_text(json.dumps({"constraints": [{"text": EVIL, "objective": EVIL}]}))
    page = Page(write_report(folder))
    assert len(page.scripts) == 3
    assert page.data()["front"][0]["id"] == EVIL
    assert "<" not in page.scripts[0]


@pytest.mark.parametrize(
    ("missing", "left"),
    [
        ({"epochs": 0}, {"front", "table", "architecture", "progress"}),
        ({"finished": False}, {"front", "training", "progress", "constraints", "failures"}),
        ({"trials": 0}, {"front", "training", "reproduce"}),
        ({"trials": 0, "epochs": 0}, {"front", "reproduce"}),
    ],
)
def test_missing_parts_are_left_out(make_run: MakeRun, missing: dict[str, Any], left: set[str]) -> None:
    page = Page(write_report(make_run(**missing)))
    assert left <= set(page.sections())
    assert ("table" in page.sections()) == ("finished" not in missing and "trials" not in missing)
    assert ("training" in page.sections()) == ("epochs" not in missing)


def test_search_that_goes_on_shows_the_front_so_far(make_run: MakeRun) -> None:
    folder = make_run(finished=False)
    unfinished = Page(write_report(folder)).data()["front"]
    finished = Page(write_report(make_run(name="finished"))).data()["front"]
    assert {m["id"] for m in unfinished} == {m["id"] for m in finished}


@pytest.mark.parametrize(
    "objectives",
    [("error",), ("latency", "error"), ("error", "latency", "params"), ("error", "latency", "params", "size")],
)
def test_any_number_of_objectives(make_run: MakeRun, objectives: tuple[str, ...]) -> None:
    page = Page(write_report(make_run(objectives=objectives)))
    ids = {attributes.get("id") for _, attributes in page.tags}
    assert "growth-chart" in ids
    assert ("paths-chart" in ids) == (len(objectives) > 2)
    assert [axis["name"] for axis in page.data()["objectives"]] == list(objectives)


def test_picture_is_a_png(make_run: MakeRun) -> None:
    folder = make_run(objectives=("error", "latency", "params"))
    write_report(folder)
    assert (folder / "front.png").read_bytes().startswith(b"\x89PNG")


def test_picked_model_is_shown_first(make_run: MakeRun) -> None:
    folder = make_run()
    picks = json.loads((folder / "front.json").read_text())["picks"]
    for picked, wanted in ((None, picks["knee"]), ("best:error", picks["best:error"]), (picks["best:latency"],) * 2):
        page = Page(write_report(folder, picked=picked))
        shown = [a["data-id"] for t, a in page.tags if a.get("class") == "drawing" and "hidden" not in a]
        assert shown == [wanted]


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("front.json", '{"members": [', "front.json: damaged"),
        ("front.json", "[]", "front.json: expected a JSON object"),
        ("front.json", '{"members": [{"architecture": {}}]}', "front.json: malformed member"),
        ("training.json", '{"epoch": 1}', "training.json: expected a list"),
        ("ledger.log", "not a ledger\n", "ledger.log: line 1"),
        ("job.yaml", "a: [1", "job.yaml: not valid YAML"),
    ],
)
def test_damaged_files_are_named(make_run: MakeRun, file: str, content: str, message: str) -> None:
    folder = make_run()
    (folder / file).write_text(content)
    with pytest.raises(RunError, match=re.escape(message)):
        write_report(folder)
    assert not (folder / "report.html").exists()


def test_unknown_pick_and_folder_are_refused(make_run: MakeRun, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"called 'best:eror'\. Did you mean 'best:error'"):
        write_report(make_run(), picked="best:eror")
    with pytest.raises(RunError, match="no such run folder"):
        write_report(tmp_path / "nowhere")


def test_ledger_of_other_objectives_is_refused(make_run: MakeRun) -> None:
    folder = make_run(finished=False)
    job = (folder / "job.yaml").read_text().replace("- error\n", "")
    (folder / "job.yaml").write_text(job)
    with pytest.raises(RunError, match="trial 3 has 2 values, the job has 1 objectives"):
        write_report(folder)


def test_fifty_thousand_trials_stay_small(tmp_path: Path) -> None:
    """The budget is a minute; here it is seconds, and the file size, which does not depend on the machine, is bounded."""
    folder = tmp_path / "large"
    folder.mkdir()
    (folder / "job.yaml").write_text("objectives: [error, latency]\n")
    space = SearchSpace.build({"a": Ordinal(*range(1, 100))})
    path = folder / "ledger.log"
    with Ledger(path, space=space, objectives=["error", "latency"]) as ledger:
        ledger.append(Measurement(architecture=space.smallest(), values=(0.123456789, 1.23456789)))
    *start, record = path.read_text().splitlines(keepends=True)
    rng = np.random.default_rng(0)
    columns = zip(rng.random(50_000), rng.random(50_000), strict=True)
    many = [record.replace("0.123456789", repr(float(a))).replace("1.23456789", repr(float(b))) for a, b in columns]
    path.write_text("".join([*start, *many]))
    report = write_report(folder)
    assert len(Page(report).data()["trials"]["ids"]) == 50_000
    assert report.stat().st_size < 10_000_000
