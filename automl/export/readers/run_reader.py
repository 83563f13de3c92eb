"""Runs a reader where some packages cannot be imported.

Started as ``python -I run_reader.py READER FILE CASES RESULTS FORBIDDEN…``. The reader's ``replay(FILE, CASES)`` is called
and its result written to RESULTS. Importing a forbidden package fails, whoever tries it, and after the call none may have
been imported.
"""

from __future__ import annotations

import runpy
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


class Refusal(MetaPathFinder):
    """Refuses to find forbidden packages."""

    def __init__(self, forbidden: frozenset[str]) -> None:
        self.forbidden = forbidden

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Raises ImportError for a forbidden package and leaves all others to the finders after this one."""
        if fullname.partition(".")[0] in self.forbidden:
            raise ImportError(f"the file needs the package {fullname.partition('.')[0]!r} to be loaded")
        return None


def main(reader: str, file: str, cases: str, results: str, *forbidden: str) -> None:
    """Runs the reader and writes what it returns."""
    sys.meta_path.insert(0, Refusal(frozenset(forbidden)))
    found = runpy.run_path(reader)["replay"](file, cases)
    present = {name.partition(".")[0] for name in sys.modules} & set(forbidden)
    if present:
        raise ImportError(f"loading the file imported {', '.join(sorted(present))}")
    if "torch" in sys.modules:
        from safetensors.torch import save_file as save_tensors

        save_tensors(found, results)
    else:
        from safetensors.numpy import save_file as save_arrays

        save_arrays(found, results)


if __name__ == "__main__":
    main(*sys.argv[1:])
