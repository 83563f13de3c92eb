"""The report page: one HTML file with its style, its script, its data and plotly.js inside, so that it opens offline."""

from __future__ import annotations

import base64
import json
from html import escape
from importlib import resources
from typing import Any

from automl.report.chart_data import chart_data
from automl.report.growth import measure_growth
from automl.report.record import Member, RunRecord
from automl.report.sections import (
    anchors_present,
    architecture_section,
    constraint_section,
    context_section,
    data_section,
    export_section,
    failure_section,
    family_section,
    finalist_section,
    front_section,
    growth_section,
    location,
    notes_section,
    reproduction_section,
    stitching_section,
    table_section,
    tiles,
    training_section,
)

__all__ = ["render_page"]

# Nothing is fetched from anywhere. WebGL charts compile their shader code at run time, hence 'unsafe-eval'.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src data: blob:; font-src data:; worker-src blob:"
)


def render_page(record: RunRecord, picked: Member | None, picture: bytes | None = None) -> str:
    """Returns the page of a run.

    Args:
        record: the run.
        picked: the model whose architecture is shown first; None without a front.
        picture: the front as PNG, shown where scripts are off.
    """
    from plotly.offline import get_plotlyjs

    growth = measure_growth(record)
    sections = [
        front_section(record),
        table_section(record),
        stitching_section(record),
        finalist_section(record),
        architecture_section(record, picked),
        family_section(record),
        data_section(record),
        training_section(record),
        growth_section(growth),
        notes_section(record),
        constraint_section(record),
        context_section(record),
        export_section(record),
        failure_section(record.trials.failures),
        reproduction_section(record),
    ]
    links = "".join(f'<a href="#{anchor}">{title}</a>' for anchor, title in anchors_present(sections))
    name = escape(record.name)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="automl">
<title>{name} · automl report</title>
<style>{_asset("report.css")}</style>
</head>
<body>
<header class="top">
<div class="row"><h1>{name}</h1><button id="theme" type="button" title="light or dark">◐</button></div>
<p class="soft">{_subtitle(record)}</p>
<nav>{links}</nav>
<div class="tiles">{tiles(record)}</div>
</header>
<main>{_without_script(picture)}{"".join(sections)}</main>
<footer>Written by automl from {location(record.folder)}</footer>
<script type="application/json" id="data">{embed_json(chart_data(record, growth))}</script>
<script>{get_plotlyjs()}</script>
<script>{_asset("report.js")}</script>
</body>
</html>
"""


def embed_json(value: Any) -> str:
    """Returns JSON that cannot end the script element it stands in."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _asset(name: str) -> str:
    return resources.files("automl.report").joinpath("assets").joinpath(name).read_text(encoding="utf-8")


def _subtitle(record: RunRecord) -> str:
    job = {**record.job, **(record.summary.get("job") or {})}
    parts = [
        (f"{key} ", job.get(key)) if key in ("seed",) else ("", job.get(key))
        for key in ("space", "task", "data", "searcher", "strategy", "seed")
    ]
    shown = [f"{prefix}{value}" for prefix, value in parts if isinstance(value, str | int) and value != ""]
    return escape(" · ".join(shown))


def _without_script(picture: bytes | None) -> str:
    if picture is None:
        return ""
    data = base64.b64encode(picture).decode("ascii")
    return (
        '<noscript><section><p>Charts need scripts; this is the front as a picture.</p><img alt="front" '
        f'style="max-width:100%" src="data:image/png;base64,{data}"></section></noscript>'
    )
