"""``automl spaces``: search spaces, or one of them in detail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from automl_cli.console import columns, print_json, print_table, results
from automl_cli.options import JsonOption

if TYPE_CHECKING:
    from rich.tree import Tree

    from automl.supernet.schema import Skeleton, Slot

__all__ = ["spaces"]


def spaces(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="A search space or the path of its YAML file.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(metavar="DATA", help="Data that decide the size of the input; otherwise the task's own."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List search spaces, or show the dimensions, the exact size and the diagram of one."""
    if name is None:
        _list(as_json=as_json)
    else:
        _show(name, data, as_json=as_json)


def _list(*, as_json: bool) -> None:
    from automl.host import Host

    host = Host.load()
    entries = [
        {"name": c.name, "summary": c.summary, "provider": host.provider(c).title}
        for c in host.components("space").values()
    ]
    if as_json:
        print_json(entries)
        return
    rows = [(e["name"], e["provider"], e["summary"]) for e in entries]
    print_table(f"{len(rows)} search spaces", ["space", "from", "what it is"], rows)


def _show(name: str, data: str | None, *, as_json: bool) -> None:
    from automl.host import Host
    from automl.job import resolve_parts
    from automl.job_config import resolve_job
    from automl.supernet import Skeleton, build_supernet

    host = Host.load()
    job = resolve_job(settings={"space": name, **({"data": data} if data is not None else {})})
    parts = resolve_parts(job, host)
    task = parts.task.load(parts.data, seed=0)
    space = build_supernet(parts.skeleton, task, host).space
    size = space.size()
    if as_json:
        skeleton = parts.skeleton.model_dump(mode="json", by_alias=True)
        print_json({"space": name, "size": size, "data": parts.data, "skeleton": skeleton, **space.describe()})
        return
    console = results()
    if isinstance(parts.skeleton, Skeleton):
        console.print(_diagram(parts.skeleton))
    rows = []
    for dimension_name, dimension in space.dimensions.items():
        when = " and ".join(f"{parent} is {_joined(values)}" for parent, values in _conditions(space, dimension_name))
        rows.append((dimension_name, _joined(dimension.choices), when))
    console.print(columns(f"{len(rows)} dimensions", ["dimension", "choices", "exists where"], rows, long=[1]))
    console.print(f"{size:,} architectures ({size:.2g}), with the input of {parts.data}", markup=False)


def _conditions(space: Any, name: str) -> list[tuple[str, Any]]:
    """Parents of a dimension with the values that it needs, in the order of the space; those that any value suits left out."""
    edges = {parent: facts.get("values", ()) for parent, _, facts in space.graph.in_edges(name, data=True)}
    return [
        (parent, edges[parent])
        for parent, dimension in space.dimensions.items()
        if parent in edges and set(edges[parent]) != set(dimension.choices)
    ]


def _joined(values: Any) -> str:
    return ", ".join(str(value) for value in values)


def _diagram(skeleton: Skeleton) -> Tree:
    """Slots as a tree along their first inputs; further inputs are named."""
    from rich.text import Text
    from rich.tree import Tree

    root = Tree(Text(f"input ({skeleton.input})", style="bold"))
    nodes: dict[str, Tree] = {"input": root}
    for name in skeleton.order():
        slot = skeleton.slots[name]
        line = Text(name, style="bold").append("  " + _facts(slot), style="not bold")
        nodes[name] = nodes[slot.sources[0]].add(line)
    head = ", ".join(entry if isinstance(entry, str) else next(iter(entry)) for entry in skeleton.heads)
    nodes[skeleton.output].add(Text("head", style="bold").append(f"  {head}", style="not bold"))
    return root


def _facts(slot: Slot) -> str:
    facts = [", ".join(entry if isinstance(entry, str) else _with_options(entry) for entry in slot.blocks)]
    if slot.width is not None:
        facts.append(f"width {_choices(slot.width)}")
    if slot.depth != 1:
        facts.append(f"depth {_choices(slot.depth)}")
    if slot.jump != "last":
        facts.append(f"jump {_choices(slot.jump) if isinstance(slot.jump, list) else slot.jump}")
    if slot.stride != 1:
        facts.append(f"stride {slot.stride}")
    if len(slot.sources) > 1:
        facts.append(f"{slot.merge} with {', '.join(slot.sources[1:])}")
    return " · ".join(facts)


def _choices(value: Any) -> str:
    return _joined(value) if isinstance(value, list) else f"as {value}" if isinstance(value, str) else str(value)


def _with_options(entry: Mapping[str, Any]) -> str:
    name, options = next(iter(entry.items()))
    return f"{name}({', '.join(options or ())})"
