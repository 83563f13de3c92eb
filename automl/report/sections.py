"""The sections of the report page, each a function from the run to HTML; empty where the run has nothing to show.

Every text that comes from a user, a plugin or a file goes through ``escape``.
"""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

from automl.objectives.units import BUILT_IN_UNITS, format_duration
from automl.report.axis import TEST_ERROR, Axis
from automl.report.drawing import draw_network, family_colours
from automl.report.families import family_section_body
from automl.report.finalists import finalist_section_body
from automl.report.growth import Growth
from automl.report.layout import read_layout
from automl.report.record import Member, RunRecord
from automl.report.stitching import compare_stitches, shown_rows
from automl.report.table import sorted_members
from automl.report.trials import Failure

__all__ = [
    "architecture_section",
    "constraint_section",
    "context_section",
    "data_section",
    "export_section",
    "failure_section",
    "family_section",
    "finalist_section",
    "front_section",
    "growth_section",
    "notes_section",
    "reproduction_section",
    "stitching_section",
    "table_section",
    "tiles",
    "training_section",
]

_NUMBER: Final = ' class="number"'
MOST_ROWS: Final = 300
MOST_DRAWINGS: Final = 40
MOST_REASONS: Final = 20
LONGEST_TRACEBACK: Final = 4000


def section(anchor: str, title: str, body: str) -> str:
    """Returns a section with a heading; nothing for an empty body."""
    return f'<section id="{anchor}"><h2>{escape(title)}</h2>{body}</section>' if body else ""


def tiles(record: RunRecord) -> str:
    """The headline numbers."""
    found: list[tuple[str, str]] = []
    trials = record.summary.get("trials") or {}
    complete = trials.get("complete", len(record.trials))
    failed = trials.get("failed", len(record.trials.failures))
    found.append((f"{complete:,}", "architectures measured" + (f", {failed:,} failed" if failed else "")))
    if record.members:
        found.append((f"{len(record.members):,}", "models on the front"))
    tested = [m.test["error"] for m in record.members if "error" in m.test]
    if tested:
        found.append((TEST_ERROR.format(min(tested)), "best test error on the front"))
    for axis in record.axes:
        values = [v for m in record.members if (v := m.value(axis.name)) is not None]
        if len(values) > 1 and min(values) > 0 and axis.quantity.kind != "share":
            label = f"{axis.title} from {axis.format(min(values))} to {axis.format(max(values))}"
            found.append((f"{max(values) / min(values):.3g}×", label))
    if record.training:
        found.append((f"{len(record.training):,}", "epochs trained"))
    if trials.get("seconds"):
        found.append((format_duration(float(trials["seconds"])), "spent searching"))
    return "".join(f'<div class="tile"><b>{escape(v)}</b><span>{escape(t)}</span></div>' for v, t in found)


def front_section(record: RunRecord) -> str:
    """Controls and place of the front chart, and of the path chart for more than two objectives."""
    if not len(record.trials) and not record.members:
        return section("front", "Front", '<p class="soft">No architecture has been measured yet.</p>')
    if record.members:
        state = "Click a model of the front to see its architecture."
    elif record.summary:
        state = "The front is empty: no architecture met every constraint; shown is what the search saw."
    else:
        state = "The search has not ended; this is the front so far."
    body = f"""<p class="hint">Each point is one architecture; lower is better on every objective. {state}</p>
<div class="controls">
<label>across <select id="axis-x"></select></label><label>up <select id="axis-y"></select></label>
<label><input type="checkbox" id="log-x"> log across</label><label><input type="checkbox" id="log-y"> log up</label>
</div>
<p class="hint" id="front-note" hidden>This browser has no WebGL: an even share of the trials is drawn.</p>
<div class="chart" id="front-chart"></div>"""
    if len(record.axes) > 2 and record.members:
        body += (
            "<h3>All objectives at once</h3>"
            '<p class="hint">Each line is one model of the front, from its best to its worst value of each objective.</p>'
            '<div class="chart small" id="paths-chart"></div>'
        )
    return section("front", "Front", body)


def table_section(record: RunRecord) -> str:
    """The front as a sortable table."""
    members = sorted_members(record)
    if not members:
        return ""
    tested = any("error" in member.test for member in members)
    columns = [*([TEST_ERROR] if tested else []), *record.axes]
    head = '<th data-sort="text">model</th>' + ('<th data-sort="text">kind</th>' if record.has_kinds else "")
    head += "".join(f'<th class="number" data-sort="number">{escape(q.title)}</th>' for q in columns)
    rows = "".join(_row(record, member, columns) for member in members[:MOST_ROWS])
    more = len(members) - MOST_ROWS
    note = f'<p class="hint">{more:,} more rows are in front.json.</p>' if more > 0 else ""
    body = (
        f'<div class="scroll"><table><thead><tr>{head}<th>notes</th></tr></thead><tbody>{rows}</tbody></table></div>{note}'
        '<p class="hint">Small print: the interval of the measurement. Test error was measured once, after the search, '
        "and chose nothing.</p>"
    )
    return section("table", "Models of the front", body)


def _row(record: RunRecord, member: Member, columns: Sequence[Axis]) -> str:
    cells = [f'<td class="mono">{escape(member.id)}</td>']
    if record.has_kinds:
        cells.append(f"<td>{escape(member.kind)}</td>")
    for axis in columns:
        final = axis is TEST_ERROR
        value = member.test.get("error") if final else member.value(axis.name)
        interval = None if final else member.interval(axis.name)
        small = f" <small>{escape(axis.format_interval(*interval))}</small>" if interval else ""
        predicted = None if final else member.predicted.get(axis.name)
        if predicted:
            small += f"<br><small>predicted {escape(axis.format(predicted.get('value')))}</small>"
        data = "" if value is None else f' data-value="{value!r}"'
        cells.append(f'<td class="number"{data}>{escape(axis.format(value))}{small}</td>')
    notes = "".join(f'<span class="badge">{escape(name)}</span>' for name in record.badges.get(member.id, []))
    if not member.feasible:
        notes += '<span class="bad">misses a constraint</span>'
    notes += "".join(f'<span class="bad">{escape(name)} is not as predicted</span>' for name in member.disagreements)
    return f'<tr data-id="{escape(member.id)}">{"".join(cells)}<td>{notes}</td></tr>'


def stitching_section(record: RunRecord) -> str:
    """Stitched networks beside their anchors; nothing for other spaces."""
    comparison = compare_stitches(record)
    if comparison is None:
        return ""
    heads = ("model", "stitch", "multiply-accumulates", "validation error", "line between anchors", "difference")
    head = "".join(f"<th{_NUMBER if i > 1 else ''}>{title}</th>" for i, title in enumerate(heads))
    rows = "".join(
        "<tr>" + "".join(f"<td{_NUMBER if i > 1 else ''}>{escape(cell)}</td>" for i, cell in enumerate(cells)) + "</tr>"
        for cells in shown_rows(comparison, record.axes)
    )
    body = (
        f'<p class="hint">{escape(comparison.sentence)}. Anchors after the joint training; the line is what choosing between two '
        "anchors at random would give.</p>"
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    )
    return section("stitching", "Stitches beside their anchors", body)


def finalist_section(record: RunRecord) -> str:
    """Architectures that were trained alone, beside what they are with the weights of the supernet."""
    return section("finalists", "Finalists, trained alone", finalist_section_body(record))


def architecture_section(record: RunRecord, picked: Member | None) -> str:
    """Drawings of the picked model and of others of the front, one shown at a time."""
    if picked is None:
        return ""
    members = _drawn(record, picked)
    layouts = [
        read_layout(member.architecture, None if member.kind == "stitch" else record.skeleton) for member in members
    ]
    colours = family_colours(layouts)
    options, drawings = [], []
    for member, layout in zip(members, layouts, strict=True):
        badges = record.badges.get(member.id, [])
        label = " · ".join([member.id, *([member.kind] if record.has_kinds else []), *badges])
        chosen = " selected" if member is picked else ""
        options.append(f'<option value="{escape(member.id)}"{chosen}>{escape(label)}</option>')
        hidden = "" if member is picked else " hidden"
        drawing = draw_network(layout, colours, f"Architecture of model {label}", member.id)
        drawings.append(f'<div class="drawing" data-id="{escape(member.id)}"{hidden}>{drawing}</div>')
    values = "\n".join(f"{name}: {value}" for name, value in picked.architecture.items())
    body = (
        '<p class="hint">Data flow from top to bottom. Bar under a name: width of the slot against the widest of the space. '
        "Dashed: blocks that the space allows and this model leaves out.</p>"
        f'<div class="controls"><label>model <select id="member">{"".join(options)}</select></label></div>'
        f"{''.join(drawings)}"
        f"<details><summary>Choices of {escape(picked.id)} as text</summary><pre>{escape(values)}</pre></details>"
    )
    return section("architecture", "Architecture", body)


def _drawn(record: RunRecord, picked: Member) -> list[Member]:
    members = sorted_members(record)
    if len(members) > MOST_DRAWINGS:
        keep = {picked.id, *record.picks.values()}
        step = len(members) / MOST_DRAWINGS
        keep |= {members[int(i * step)].id for i in range(MOST_DRAWINGS)}
        members = [member for member in members if member.id in keep]
    return members


def training_section(record: RunRecord) -> str:
    """Places of the training charts, and what the training warned of."""
    if not record.training:
        return ""
    warnings = [
        (epoch.get("epoch", i), text) for i, epoch in enumerate(record.training) for text in epoch.get("warnings") or []
    ]
    rows = "".join(f"<li>epoch {escape(str(epoch))}: {escape(str(text))}</li>" for epoch, text in warnings[:50])
    notes = (
        f"<details><summary>{len(warnings)} warning{'s' * (len(warnings) > 1)}</summary><ul>{rows}</ul></details>"
        if warnings
        else ""
    )
    body = (
        '<p class="hint">One supernet, trained once. Validation error of its smallest and largest subnetwork and of a fixed '
        "random set: the largest should end lowest.</p>"
        '<div class="pair"><div class="chart small" id="loss-chart"></div>'
        f'<div class="chart small" id="error-chart"></div></div>{notes}'
    )
    return section("training", "Training", body)


def growth_section(growth: Growth | None) -> str:
    """Place of the hypervolume chart."""
    if growth is None:
        return ""
    body = f'<p class="hint">{escape(growth.note)}</p><div class="chart small" id="growth-chart"></div>'
    return section("progress", "Progress of the search", body)


def notes_section(record: RunRecord) -> str:
    """What limited the search."""
    rows = "".join(f"<li>{escape(note[:1].upper() + note[1:])}.</li>" for note in record.notes)
    return section("notes", "What limited the search", f"<ul>{rows}</ul>" if rows else "")


def constraint_section(record: RunRecord) -> str:
    """Each constraint with its range over the anchors."""
    if not record.constraints:
        return ""
    units = {axis.name: axis for axis in record.axes}
    rows = []
    for entry in record.constraints:
        name = str(entry.get("objective", ""))
        axis = units.get(name, Axis(name, BUILT_IN_UNITS.get(name, "")))
        reach = axis.format(entry.get("lowest")) + " … " + axis.format(entry.get("highest"))
        if entry.get("note"):
            reach += f"; {entry['note']}"
        verdict = '<span class="good">yes</span>' if entry.get("reachable") else '<span class="bad">not seen</span>'
        text = escape(str(entry.get("text", "")))
        rows.append(f'<tr><td class="mono">{text}</td><td class="text">{escape(reach)}</td><td>{verdict}</td></tr>')
    met = int(record.trials.feasible.sum())
    total = len(record.trials)
    share = f"<p>{met:,} of {total:,} measured architectures meet every constraint.</p>" if total else ""
    body = (
        '<div class="scroll"><table><thead><tr><th>constraint</th><th>range before the search</th><th>within reach</th></tr>'
        f"</thead><tbody>{''.join(rows)}</tbody></table></div>{share}"
        '<p class="hint">Range: over the smallest, the largest and some random architectures.</p>'
    )
    return section("constraints", "Constraints", body)


def data_section(record: RunRecord) -> str:
    """What the task tells about its data."""
    facts = record.summary.get("data")
    return section("data", "Data", definitions(facts) if isinstance(facts, dict) else "")


def family_section(record: RunRecord) -> str:
    """Families that compete for a slot."""
    return section("families", "Families", family_section_body(record))


def context_section(record: RunRecord) -> str:
    """In which circumstances the numbers were measured."""
    body = "".join(
        f"<div><h3>{escape(Axis(name).title)}</h3>{definitions(facts)}</div>" for name, facts in record.context.items()
    )
    return section("context", "How it was measured", f'<div class="pair">{body}</div>' if body else "")


def export_section(record: RunRecord) -> str:
    """Exported files with their verified error."""
    rows = []
    for folder, manifest in record.exports.items():
        for entry in manifest["files"].values():
            path, size = f"{folder}/{entry['file']}", Axis("size", "B").format(entry["bytes"])
            rows.append(
                f'<tr><td class="mono text">{escape(path)}</td><td class="number">{escape(size)}</td>'
                f'<td class="number">{entry["max_abs_error"]:.1e}</td></tr>'
            )
    if not rows:
        return ""
    body = (
        '<div class="scroll"><table><thead><tr><th>file</th><th class="number">size</th>'
        '<th class="number">largest difference to the subnetwork</th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )
    return section("exports", "Exported files", body)


def failure_section(failures: Sequence[Failure]) -> str:
    """Candidates that could not be measured, grouped by reason."""
    if not failures:
        return ""
    groups: dict[str, list[Failure]] = {}
    for failure in failures:
        groups.setdefault(_reason(failure.reason), []).append(failure)
    counts = Counter({reason: len(group) for reason, group in groups.items()})
    parts = []
    for reason, count in counts.most_common(MOST_REASONS):
        examples = groups[reason][:5]
        shown = ", ".join(f"trial {failure.number} ({failure.id})" for failure in examples)
        more = f" and {count - len(examples):,} more" if count > len(examples) else ""
        text = examples[0].reason[-LONGEST_TRACEBACK:]
        parts.append(
            f"<h3>{count:,} × {escape(reason)}</h3><p class='hint'>{escape(shown + more)}</p>"
            f"<details><summary>Traceback of the first</summary><pre>{escape(text)}</pre></details>"
        )
    rest = len(groups) - MOST_REASONS
    if rest > 0:
        parts.append(f'<p class="hint">{rest} other reasons are in the ledger.</p>')
    intro = f"<p>{len(failures):,} candidates failed and were left out; the search went on.</p>"
    return section("failures", "Failures", intro + "".join(parts))


def _reason(text: str) -> str:
    """Last line of a traceback with numbers left out, so that equal causes fall into one group."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return re.sub(r"\d+(\.\d+)?", "#", lines[-1])[:200] if lines else "no reason given"


def reproduction_section(record: RunRecord) -> str:
    """The command and the job."""
    if not record.job_text:
        return ""
    job = record.summary.get("job") or {}
    command = f"automl search job.yaml --name {shlex.quote(record.name)}"
    facts = definitions({key: value for key, value in job.items() if not isinstance(value, dict | list)})
    body = (
        "<p>Save the job below as <code>job.yaml</code> and run</p>"
        f"<pre>{escape(command)}</pre>"
        '<p class="hint">The same job with the same seed on the same machine visits the same architectures in the same order; '
        "latencies differ within their intervals.</p>"
        f"{facts}<h3>job.yaml</h3><pre>{escape(record.job_text)}</pre>"
    )
    return section("reproduce", "How to reproduce", body)


def definitions(values: Mapping[str, Any]) -> str:
    """Returns a definition list; nested mappings are joined into one line each."""
    rows = [
        f"<dt>{escape(str(key).replace('_', ' '))}</dt><dd>{escape(_plain(value))}</dd>"
        for key, value in values.items()
        if value not in (None, "", {}, [])
    ]
    return f"<dl>{''.join(rows)}</dl>" if rows else ""


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_plain(inner)}" for key, inner in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_plain(inner) for inner in value)
    if isinstance(value, float):
        return f"{value:.4g}"
    return "yes" if value is True else "no" if value is False else str(value)


def anchors_present(sections: Iterable[str]) -> list[tuple[str, str]]:
    """Returns anchor and title of each section, for the navigation."""
    found = (re.match(r'<section id="(\w+)"><h2>(.*?)</h2>', text) for text in sections)
    return [(match[1], match[2]) for match in found if match]


def location(folder: Path) -> str:
    """Returns where the run is, as text for the footer."""
    return escape(str(folder))
