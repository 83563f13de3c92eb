"""Where tests find public graphs that are no part of this package."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_FOLDER = Path(os.environ.get("AUTOML_SHARED_DATA", Path(__file__).resolve().parents[4] / "shared" / "data"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of public data sets; tests that need it are skipped where it is absent."""
    if not _FOLDER.is_dir():
        pytest.skip(f"{_FOLDER} is absent; AUTOML_SHARED_DATA names another folder")
    return _FOLDER
