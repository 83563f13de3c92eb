"""Every documentation page is executed: its Python as one script, its marked commands as a user would type them."""

from __future__ import annotations

import inspect
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from automl.host import hookspecs

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PYTHON = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMANDS = re.compile(r"^<!-- run -->\n```bash\n(.*?)^```", re.MULTILINE | re.DOTALL)
TYPED = [ROOT / "docs/quickstart.md"]
"""Pages whose commands are started as the shell starts them; those of others are forked, where importing costs nothing."""
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")


def _pages_with(pattern: re.Pattern[str]) -> list[Path]:
    return [page for page in PAGES if pattern.search(page.read_text(encoding="utf-8"))]


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", _pages_with(PYTHON), ids=_name)
def test_python_of_a_page_runs(page: Path, tmp_path: Path) -> None:
    script = tmp_path / "page.py"
    script.write_text("\n".join(PYTHON.findall(page.read_text(encoding="utf-8"))), encoding="utf-8")
    result = subprocess.run([sys.executable, "-W", "error", str(script)], cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("page", _pages_with(COMMANDS), ids=_name)
def test_commands_of_a_page_run(page: Path, commands: Any, tmp_path: Path) -> None:
    environment = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "140"}
    for block in COMMANDS.findall(page.read_text(encoding="utf-8")):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words and (words[0] != "automl" or page in TYPED):
                result = subprocess.run(
                    words, cwd=tmp_path, env={**os.environ, **environment}, capture_output=True, text=True
                )
                assert result.returncode == 0, f"{line}\n{result.stdout}\n{result.stderr}"
            elif words:
                commands.run(tmp_path, words[1:], environment)


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    broken = [t for t in LINK.findall(page.read_text(encoding="utf-8")) if not (page.parent / t).exists()]
    assert not broken


def test_every_hook_has_a_heading_with_its_exact_signature() -> None:
    page = (ROOT / "docs/plugins.md").read_text(encoding="utf-8")
    hooks = {name: hook for name, hook in vars(hookspecs).items() if name.startswith("automl_") and callable(hook)}
    assert len(hooks) == 16
    for name, hook in hooks.items():
        assert f"\n### `{name}{inspect.signature(hook)}`\n".replace("'", "") in page, name
