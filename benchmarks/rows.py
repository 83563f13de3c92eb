"""Rows of a benchmark on disk: whole after every measurement, and never measured twice."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from automl.atomic_write import write_atomically
from automl.errors import ConfigError
from automl.objectives.context import cpu_name, versions

__all__ = ["Row", "Rows", "machine"]

Row = dict[str, Any]


class Rows:
    """Measured rows in a file of one JSON object a line.

    Args:
        path: the file; read if it is there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        try:
            self.all: list[Row] = [json.loads(line) for line in lines]
        except json.JSONDecodeError as error:
            raise ConfigError(f"{path}: damaged: {error}; remove the line or the file.") from error

    def find(self, key: Mapping[str, Any]) -> Row | None:
        """Returns the row that was measured under these settings."""
        return next(iter(self.where(key)), None)

    def where(self, key: Mapping[str, Any]) -> list[Row]:
        """Returns all rows that were measured under these settings."""
        return [row for row in self.all if key.items() <= row.items()]

    def add(self, row: Row) -> None:
        """Keeps a row, on disk at once."""
        self.all.append(row)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self._path, "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in self.all))


def machine() -> Row:
    """Returns what times of this process depend on."""
    return {"cpu": cpu_name(), "threads": torch.get_num_threads(), "versions": versions("torch", "numpy")}
