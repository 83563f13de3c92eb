"""The command starts fast because it imports little; checked in fresh processes."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = [
    "torch",
    "optuna",
    "sklearn",
    "plotly",
    "matplotlib",
    "scipy",
    "onnx",
    "onnxruntime",
    "torch_geometric",
    "pandas",
]
PROGRAM = f"""
import json, sys
from automl_cli.main import run
code = run(sys.argv[1:])
sys.stderr.write(json.dumps([code, [m for m in {HEAVY!r} if m in sys.modules]]))
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["search", "--help"],
        ["--version"],
        ["families"],
        ["families", "--json"],
        ["plugins"],
        ["spaces"],
        ["schema", "job"],
        ["schema", "space"],
        ["doctor"],
        ["front", "nowhere"],
    ],
    ids=" ".join,
)
def test_light_commands_import_nothing_heavy(arguments: list[str], tmp_path: object) -> None:
    command = [sys.executable, "-c", PROGRAM, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=str(tmp_path))
    code, heavy = json.loads(result.stderr.splitlines()[-1])
    assert heavy == []
    assert code == (2 if "nowhere" in arguments else 0)


def test_help_imports_no_component_and_no_host() -> None:
    found = "[m for m in sys.modules if m.startswith(('automl.', 'numpy', 'pydantic', 'networkx', 'yaml'))]"
    program = f"import sys; from automl_cli.main import run; run(['--help']); print({found})"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    assert result.stdout.splitlines()[-1] == "['automl.errors']"
