"""A new plugin as a complete distribution that passes its own tests at once, from templates beside this file."""

from __future__ import annotations

import importlib.metadata
import importlib.resources
import importlib.util
import keyword
import os
import re
import shutil
from collections.abc import Iterator
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath
from string import Template
from typing import Final

from automl.errors import PluginError

__all__ = ["write_plugin"]

_SUFFIX: Final = ".tmpl"
_NAME: Final = re.compile(r"[A-Za-z]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_LONGEST_NAME: Final = 40
_PREFIX: Final = "automl-"
_CORE: Final = "automl-supernets"
_FIRST_VERSION: Final = "0.1.0"


def write_plugin(name: str, folder: Path) -> list[Path]:
    """Writes a plugin distribution: metadata, one block, a space that uses it, and tests.

    Everything is written beside ``folder`` first and renamed at the end, so a failure leaves nothing behind.

    Args:
        name: name of the distribution, such as ``"automl-wavelets"``. Its package is ``automl_wavelets``, its block
            ``wavelets.separable``, its space ``image/wavelets``.
        folder: folder to make; may exist if it is empty.

    Returns:
        The files written, sorted.

    Raises:
        PluginError: the name cannot be that of a distribution and a package or is taken, the folder is not empty, or it
            cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_plugin("automl-wavelets", Path(folder) / "automl-wavelets")[0].name
        'CHANGELOG.md'
    """
    names = _names(name)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise PluginError(f"{folder}: this exists and is not an empty folder; name another one or remove it.")
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    try:
        for path, text in _rendered(names):
            target = partial / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        if folder.exists():
            folder.rmdir()
        partial.rename(folder)
    except OSError as error:
        raise PluginError(f"{folder}: the plugin cannot be written: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _names(name: str) -> dict[str, str]:
    if not _NAME.fullmatch(name) or len(name) > _LONGEST_NAME:
        raise PluginError(
            f"plugin name {name!r}: a name has at most {_LONGEST_NAME} letters, digits and '-', starts with a letter and "
            "does not end with '-', such as 'automl-wavelets'."
        )
    distribution = re.sub(r"[-_.]+", "-", name).lower()
    module = distribution.replace("-", "_")
    package = distribution.removeprefix(_PREFIX).replace("-", "_")
    if keyword.iskeyword(module) or keyword.issoftkeyword(module) or not package.isidentifier():
        raise PluginError(f"plugin name {name!r}: {module!r} cannot name a Python package; choose another name.")
    if distribution == _CORE or importlib.util.find_spec(module) is not None:
        raise PluginError(
            f"plugin name {name!r}: a package {module!r} is already installed; choose another name, such as "
            f"'{distribution}-blocks'."
        )
    return {"distribution": distribution, "module": module, "package": package, "core_version": _core_version()}


def _core_version() -> str:
    """Version that the scaffold is written for: the lower bound of its dependency."""
    try:
        return importlib.metadata.version(_CORE)
    except importlib.metadata.PackageNotFoundError:
        return _FIRST_VERSION


def _rendered(names: dict[str, str]) -> Iterator[tuple[PurePosixPath, str]]:
    root = importlib.resources.files("automl.host") / "templates" / "plugin"
    for path, template in _templates(root, PurePosixPath()):
        parts = [names["module"] if part == "module" else part for part in path.parts]
        yield PurePosixPath(*parts), Template(template.read_text(encoding="utf-8")).substitute(names)


def _templates(folder: Traversable, prefix: PurePosixPath) -> Iterator[tuple[PurePosixPath, Traversable]]:
    for entry in sorted(folder.iterdir(), key=lambda e: e.name):
        if entry.is_dir():
            yield from _templates(entry, prefix / entry.name)
        elif entry.name.endswith(_SUFFIX):
            yield prefix / entry.name.removesuffix(_SUFFIX), entry
