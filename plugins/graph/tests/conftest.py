"""Where tests find public graphs that are no part of this package."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

_FOLDER = Path(os.environ.get("AUTOML_SHARED_DATA", Path(__file__).resolve().parents[4] / "shared" / "data"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of public data sets; tests that need it are skipped where it is absent."""
    if not _FOLDER.is_dir():
        pytest.skip(f"{_FOLDER} is absent; AUTOML_SHARED_DATA names another folder")
    return _FOLDER


_SPACE = """
space: memory
input: graph
slots:
  pre: {from: input, blocks: [graph.mlp], width: [8, 24]}
  message: {from: pre, blocks: [%s], depth: [1, 2]}
output: message
"""


@pytest.fixture
def space_of(tmp_path: Path) -> Callable[[str], str]:
    """Writes a space in which the given families compete, names with commas between, and returns its path."""

    def write(families: str) -> str:
        path = tmp_path / "space.yaml"
        path.write_text(_SPACE % families)
        return str(path)

    return write
