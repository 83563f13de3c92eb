"""Writes the command reference from the code: ``python -m automl_cli.reference > docs/reference/commands.md``."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from typing import Any, Final

import typer.main

from automl_cli.application import build_application

__all__ = ["render_reference"]

_EXIT_CODES: Final = """## Exit codes
| code | meaning |
|---|---|
| 0 | done |
| 1 | a fault of automl or a plugin, or a model that cannot be exported or measured; the message says where the traceback is |
| 2 | a mistake in the command, the job, the data or the run folder; the message says how to mend it |
| 130 | stopped by Ctrl-C; the same command goes on |

Results go to standard output, progress and messages to standard error, so `--json` output can be piped as it is.
"""


def render_reference() -> str:
    """Returns the reference of all commands in Markdown."""
    command: Any = typer.main.get_command(build_application())
    parts = [
        "# Commands",
        "Written from the code by `python -m automl_cli.reference > docs/reference/commands.md`; do not edit.",
        inspect.cleandoc(_plain(command.help)),
        _table(command, positional=False),
    ]
    for name, sub in _commands(command):
        parts.append(f"## automl {name}")
        parts.append(f"    {_usage(name, sub)}")
        parts.append(inspect.cleandoc(_plain(sub.help)))
        parts += [table for table in (_table(sub, positional=True), _table(sub, positional=False)) if table]
    return "\n\n".join([*parts, _EXIT_CODES])


def _commands(group: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yields all commands with their full names, those of groups behind their group."""
    for name, command in group.commands.items():
        yield f"{prefix}{name}", command
        if hasattr(command, "commands"):
            yield from _commands(command, f"{prefix}{name} ")


def _usage(name: str, command: Any) -> str:
    words = [_argument(p) for p in command.params if p.param_type_name == "argument"]
    return " ".join(["automl", name, *words, "[OPTIONS]"])


def _argument(parameter: Any) -> str:
    word = parameter.metavar or parameter.name.upper()
    return word if parameter.required else f"[{word}]"


def _table(command: Any, *, positional: bool) -> str:
    rows = list(_rows(command, positional=positional))
    if not rows:
        return ""
    head = "argument" if positional else "option"
    return "\n".join([f"| {head} | default | meaning |", "|---|---|---|", *rows])


def _rows(command: Any, *, positional: bool) -> Iterator[str]:
    for parameter in command.params:
        if (parameter.param_type_name == "argument") != positional:
            continue
        word = _argument(parameter) if positional else _option(parameter)
        default = parameter.default
        shown = "" if default in (None, False, []) or callable(default) or parameter.required else f"`{default}`"
        text = _plain(parameter.help or "").replace("|", "\\|")
        yield f"| `{word}` | {shown} | {text} |".replace("`job|space`", "`job\\|space`")


def _option(parameter: Any) -> str:
    names = ", ".join(parameter.opts)
    if parameter.is_flag:
        return names
    return f"{names} {parameter.metavar or 'NUMBER'}"


def _plain(text: str) -> str:
    return text.replace("[bold]", "`").replace("[/bold]", "`")


if __name__ == "__main__":
    sys.stdout.write(render_reference())
