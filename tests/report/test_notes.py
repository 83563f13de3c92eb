from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from automl.report import read_run, write_report


def test_page_says_what_limited_the_search(make_run: Callable[..., Path]) -> None:
    folder = make_run()
    assert 'id="notes"' not in write_report(folder).read_text(encoding="utf-8")
    front = json.loads((folder / "front.json").read_text())
    front["notes"] = [{"kind": "failures", "text": "3 of 9 candidates failed, with: <b>boom</b>"}]
    (folder / "front.json").write_text(json.dumps(front))
    assert read_run(folder).notes == ["3 of 9 candidates failed, with: <b>boom</b>"]
    page = write_report(folder).read_text(encoding="utf-8")
    assert '<section id="notes"><h2>What limited the search</h2>' in page
    assert "3 of 9 candidates failed, with: &lt;b&gt;boom&lt;/b&gt;." in page
    assert "<b>boom" not in page
