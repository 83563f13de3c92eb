"""Where results that many runs share are kept: timed blocks, and what plugins train once for a data set."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

__all__ = ["cache_folder"]

_VARIABLE: Final = "AUTOML_CACHE"


def cache_folder() -> Path:
    """Returns ``$AUTOML_CACHE``, or ``automl`` in the user's folder for caches; it need not exist yet."""
    named = os.environ.get(_VARIABLE)
    if named:
        return Path(named)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library/Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "automl"
