"""Plugins written to a folder on the path, with the metadata that pip would leave there."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest


class Install(Protocol):
    """Writes a plugin module and the metadata of its distribution."""

    def __call__(self, module: str, source: str, distribution: str = "", version: str = "1.2") -> None:
        """Makes ``module`` a plugin of ``distribution`` (default: the module's name with dashes)."""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Returns a function that installs a plugin for one test."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    modules: list[str] = []

    def write(module: str, source: str, distribution: str = "", version: str = "1.2") -> None:
        distribution = distribution or module.replace("_", "-")
        (folder / f"{module}.py").write_text(textwrap.dedent(source))
        info = folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[automl]\n{module} = {module}\n")
        modules.append(module)

    yield write
    for module in modules:
        sys.modules.pop(module, None)
