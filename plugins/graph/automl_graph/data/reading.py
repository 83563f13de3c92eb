"""Which reader a path is for, judged by its ending or by what a folder holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from automl.errors import DataError, did_you_mean
from automl_graph.data.archive import archive_holds_graph, load_archive
from automl_graph.data.graphml import load_graphml
from automl_graph.data.planetoid import load_planetoid, planetoid_files
from automl_graph.data.raw_graph import RawGraph
from automl_graph.data.tables import holds_tables, load_tables
from automl_graph.data.tensors import load_tensors

__all__ = ["FORMS", "find_graph", "holds_graph", "load_graph"]

FORMS = (
    "an .npz, .pt or .graphml file, a folder with Planetoid's 'ind.*' files, or one with 'edges.csv' and 'features.csv'"
)
_FILES: dict[str, Callable[[Path, bool], RawGraph]] = {
    ".npz": load_archive,
    ".pt": load_tensors,
    ".graphml": load_graphml,
}


def load_graph(path: Path, labelled: bool = True) -> RawGraph | None:
    """Returns the graph of a file or folder; None for a path of no known form.

    Args:
        path: the file or folder.
        labelled: whether classes are asked for; without them, neither they nor splits are read, and they may be missing.

    Raises:
        DataError: it is missing, unreadable or unfit.
    """
    if path.is_dir():
        if planetoid_files(path) is not None:
            return load_planetoid(path)
        if holds_tables(path):
            return load_tables(path, labelled)
        raise DataError(f"{path}: holds no graph; expected {FORMS}.")
    reader = _FILES.get(path.suffix.lower())
    return None if reader is None else reader(path, labelled)


def find_graph(data: str, built_in: Iterable[str], *, labelled: bool = True) -> RawGraph:
    """Returns the graph of a file or folder that a user names.

    Args:
        data: its path.
        built_in: what could have been named instead of a path.
        labelled: see ``load_graph``.

    Raises:
        DataError: it is missing, unreadable, unfit or of no known form; offers the nearest built-in name.
    """
    graph = load_graph(Path(data), labelled)
    if graph is None:
        raise DataError(f"{data}: no such graph; expected {FORMS}, or a built-in one.{did_you_mean(data, built_in)}")
    return graph


def holds_graph(path: Path) -> bool:
    """Tells whether a path looks like a graph; reads a listing or a table of contents at most."""
    if path.is_dir():
        return planetoid_files(path) is not None or holds_tables(path)
    ending = path.suffix.lower()
    return archive_holds_graph(path) if ending == ".npz" else ending in _FILES and path.is_file()
