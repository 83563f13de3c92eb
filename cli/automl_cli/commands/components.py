"""``automl families`` and ``automl plugins``: what is installed."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from automl_cli.console import print_json, print_result, print_table
from automl_cli.options import JsonOption

__all__ = ["families", "plugins"]


def families(
    signal: Annotated[str | None, typer.Option(metavar="KIND", help="Only blocks that take this signal.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the blocks and heads that search spaces can use."""
    from automl.errors import UnknownNameError
    from automl.host import Family, Host

    host = Host.load()
    found = [f for f in host.components("family").values() if isinstance(f, Family)]
    if signal is not None:
        kinds = {f.accepts for f in found} | set(host.components("signal"))
        if signal not in kinds:
            raise UnknownNameError("signal", signal, kinds, where="--signal")
        found = [f for f in found if f.accepts == signal]
    entries: list[dict[str, Any]] = [
        {
            "name": family.name,
            "accepts": family.accepts,
            "produces": family.produces,
            "summary": family.summary,
            "provider": host.provider(family).title,
            "missing": family.missing(),
        }
        for family in found
    ]
    if as_json:
        print_json(entries)
        return
    rows = [
        (e["name"], f"{e['accepts']} → {e['produces']}", e["provider"], e["summary"] + _lacking(e["missing"]))
        for e in entries
    ]
    print_table(f"{len(rows)} families", ["name", "signal", "from", "what it is"], rows)
    if not rows:
        print_result("No family is installed; 'pip install automl-vision' brings blocks for images.")


def plugins(
    kind: Annotated[
        str | None, typer.Option(metavar="KIND", help="List the components of one kind, such as objective or searcher.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List installed plugins and everything they provide; broken ones with their traceback."""
    from automl.errors import UnknownNameError
    from automl.host import Host
    from automl.host.components import KINDS

    host = Host.load()
    if kind is not None and kind not in KINDS:
        raise UnknownNameError("kind of component", kind, KINDS, where="--kind")
    components = [c for k in KINDS if kind in (None, k) for c in host.components(k).values()]
    listed = [
        {"kind": c.kind, "name": c.name, "summary": c.summary, "provider": host.provider(c).title} for c in components
    ]
    records = [
        {
            "name": record.name,
            "distribution": record.distribution,
            "version": record.version,
            "status": record.status,
            "error": record.error,
            "traceback": record.traceback,
            "import_seconds": round(record.import_seconds, 4),
            "components": [f"{c.kind} {c.name}" for c in record.components],
        }
        for record in host.plugins
    ]
    if as_json:
        conflicts = [str(conflict) for conflict in host.conflicts]
        print_json({"plugins": records, "components": listed, "conflicts": conflicts})
        return
    if kind is None:
        _print_records(records)
    rows = [(e["kind"], e["name"], e["provider"], e["summary"]) for e in listed]
    print_table(f"{len(rows)} components", ["kind", "name", "from", "what it is"], rows)
    _print_problems(records)


def _print_records(records: list[dict[str, Any]]) -> None:
    rows = [
        (
            r["name"],
            f"{r['distribution']} {r['version']}".strip() or "–",
            r["status"],
            f"{1000 * r['import_seconds']:.1f} ms",
            f"{len(r['components'])} components",
        )
        for r in records
    ]
    print_table(f"{len(rows)} plugins", ["plugin", "distribution", "status", "import", "provides"], rows, right=[3])


def _print_problems(records: list[dict[str, Any]]) -> None:
    for record in records:
        if record["status"] != "ok":
            print_result(f"{record['name']}: {record['status']}: {record['error']}")
            if record["traceback"]:
                print_result(record["traceback"])


def _lacking(modules: list[str]) -> str:
    return f" (needs {', '.join(modules)})" if modules else ""
