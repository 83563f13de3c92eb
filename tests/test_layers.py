"""The layout shows the architecture: imports go down only, and light parts stay light. Read off the sources, run by nobody."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

MAY_IMPORT = {
    "space": set(),
    "host": {"search"},  # for annotations only
    "elastic": {"space"},
    "supernet": {"space", "elastic", "host", "tasks"},  # tasks: the contract of a task, for building
    "tasks": {"space", "elastic"},
    "training": {"space", "elastic", "supernet", "tasks"},
    "objectives": {"space", "supernet", "tasks", "host"},
    "search": {"space"},
    "tickets": {"space", "elastic", "supernet", "tasks", "training", "objectives"},
    "blockwise": {"space", "supernet", "tasks", "training", "objectives"},
    "export": {"space", "tasks", "host", "objectives"},
    "report": {"space", "search", "objectives", "host", "export"},
    "job": {
        "space",
        "elastic",
        "supernet",
        "tasks",
        "training",
        "objectives",
        "search",
        "export",
        "report",
        "host",
        "tickets",
    },
    "stitching": {"space", "supernet", "host", "tasks", "training", "objectives", "export", "report", "job"},
    "assembling": {"space", "supernet", "host", "tasks", "objectives", "search", "export", "job", "tickets"},
    "testing": {"space", "elastic", "supernet", "tasks", "training", "objectives", "search", "export", "host", "job"},
}
LIGHT = [
    "automl",
    "automl.host",
    "automl.space",
    "automl.search",
    "automl.job_config",
    "automl.options",
    "automl_cli.main",
]


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("package", sorted(MAY_IMPORT))
def test_imports_go_down_only(package: str) -> None:
    files = sorted((ROOT / "automl" / package).rglob("*.py"))
    assert files
    for path in files:
        for name in _imports(path):
            parts = name.split(".")
            if parts[0] == "automl" and len(parts) > 1 and parts[1] in MAY_IMPORT and parts[1] != package:
                assert parts[1] in MAY_IMPORT[package], f"{path.relative_to(ROOT)} imports {name}"


def test_every_package_has_its_place() -> None:
    packages = {p.parent.name for p in (ROOT / "automl").glob("*/__init__.py")}
    assert packages == set(MAY_IMPORT)


def test_the_library_knows_no_plugin_and_no_command_line() -> None:
    for path in (ROOT / "automl").rglob("*.py"):
        for name in _imports(path):
            assert name.split(".")[0] not in {"automl_cli", "automl_spaces", "automl_vision", "automl_graph"}, path


@pytest.mark.parametrize("plugin", ["vision", "graph"])
def test_plugins_use_public_names_only(plugin: str) -> None:
    for path in (ROOT / "plugins" / plugin / f"automl_{plugin}").rglob("*.py"):
        for name in _imports(path):
            parts = name.split(".")
            assert parts[0] != "automl" or not any(p.startswith("_") for p in parts), f"{path}: {name}"
            assert parts[0] not in {"automl_cli", "automl_spaces"}, path


@pytest.mark.parametrize("module", LIGHT)
def test_light_modules_load_no_torch(module: str) -> None:
    code = f"import sys, {module}; assert 'torch' not in sys.modules, 'torch was imported'"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_nothing_unsafe_is_loaded() -> None:
    for folder in ("automl", "cli", "plugins", "search_spaces"):
        for path in (ROOT / folder).rglob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            for node in ast.walk(tree):
                if isinstance(node, ast.Call):
                    called = ast.unparse(node.func)
                    assert called not in {
                        "eval",
                        "exec",
                        "pickle.load",
                        "pickle.loads",
                        "yaml.load",
                        "yaml.unsafe_load",
                    }, path
                    if called == "torch.load":
                        assert any(k.arg == "weights_only" and ast.unparse(k.value) == "True" for k in node.keywords), (
                            path
                        )
