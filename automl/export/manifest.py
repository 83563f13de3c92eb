"""The manifest beside exported files: what the network is, how it was measured, and what was proven about each file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from automl.errors import RunError

__all__ = ["FORMAT", "MANIFEST_NAME", "VERSION", "file_digest", "load_manifest"]

MANIFEST_NAME: Final = "manifest.json"
FORMAT: Final = "automl-export"
VERSION: Final = 1

_REQUIRED: Final[Mapping[str, type]] = {
    "architecture": dict,
    "files": dict,
    "inputs": list,
    "parameters": int,
    "state_bytes": int,
    "state_sha256": str,
    "versions": dict,
}
_REQUIRED_OF_FILE: Final = frozenset({"file", "bytes", "predicted_bytes", "sha256", "max_abs_error"})


def load_manifest(path: Path, *, check_files: bool = False) -> dict[str, Any]:
    """Reads the manifest of an export.

    Args:
        path: the manifest, or the folder that holds it.
        check_files: also compare every exported file with its size and digest in the manifest.

    Raises:
        RunError: there is no manifest, it is truncated or not one of ours, or a file is missing or was changed; names the
            file.
    """
    path = path / MANIFEST_NAME if path.is_dir() else path
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunError(f"{path}: there is no such manifest; 'automl export' writes one beside the files.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"{path}: cannot be read: {error}.") from error
    except json.JSONDecodeError as error:
        raise RunError(
            f"{path}: line {error.lineno}: not valid JSON ({error.msg}); the manifest is truncated or was edited. "
            "Export the model again."
        ) from error
    _check(manifest, path)
    if check_files:
        for entry in manifest["files"].values():
            file = path.parent / entry["file"]
            if not file.is_file():
                raise RunError(f"{file}: the manifest names this file, but it is missing. Export the model again.")
            if file.stat().st_size != entry["bytes"] or file_digest(file) != entry["sha256"]:
                raise RunError(f"{file}: not the file that the manifest describes: size or digest differ.")
    return dict(manifest)


def file_digest(path: Path) -> str:
    """Returns the SHA-256 of a file in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check(manifest: object, path: Path) -> None:
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise RunError(f"{path}: not the manifest of an export: its 'format' is not {FORMAT!r}.")
    if manifest.get("version") != VERSION:
        raise RunError(
            f"{path}: written by another version of automl: manifest version {manifest.get('version')!r}, expected {VERSION}."
        )
    for key, kind in _REQUIRED.items():
        if not isinstance(manifest.get(key), kind):
            raise RunError(
                f"{path}: {key!r} is missing or no {kind.__name__}; the manifest was edited or is incomplete."
            )
    for name, entry in manifest["files"].items():
        missing = _REQUIRED_OF_FILE - entry.keys() if isinstance(entry, dict) else _REQUIRED_OF_FILE
        if missing:
            raise RunError(f"{path}: files.{name}: {', '.join(sorted(missing))} missing.")
        if Path(entry["file"]).name != entry["file"]:
            raise RunError(f"{path}: files.{name}: {entry['file']!r} must be a file name without a folder.")
