"""Graphs of networkx, and from GraphML files, as networkx, igraph and Gephi write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final
from xml.etree.ElementTree import ParseError

import networkx
import numpy as np

from automl.errors import DataError
from automl_graph.data.raw_graph import RawGraph, named_classes

__all__ = ["from_networkx", "load_graphml"]

_LABELS: Final = ("y", "label", "class")


def load_graphml(path: Path, labelled: bool = True) -> RawGraph:
    """Reads a graph whose nodes have an attribute ``y``, ``label`` or ``class``, and numbers as features.

    Every other attribute that is a number at all nodes is a feature, in order of name. Nodes are in the order of the file.

    Args:
        path: the file.
        labelled: whether nodes must have labels; without, those that there are count for nothing.

    Raises:
        DataError: the file is missing or damaged, or a node has no label.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file; expected a GraphML file.")
    try:
        graph = networkx.read_graphml(path)
    except (ParseError, networkx.NetworkXError, OSError, KeyError, ValueError, TypeError) as error:
        raise DataError(f"{path}: cannot be read as GraphML: {error}.") from error
    return from_networkx(graph, str(path), labelled=labelled)


def from_networkx(graph: networkx.Graph[Any], name: str = "graph", *, labelled: bool = True) -> RawGraph:
    """Returns the graph of a networkx object; see ``load_graphml`` for what its nodes should have.

    Args:
        graph: of any kind; edges of one without directions are held in one of them, as ``RawGraph.finish`` adds the other.
        name: what messages call it.
        labelled: see ``load_graphml``.

    Raises:
        DataError: it has no nodes, or one has no label.

    Example:
        >>> import networkx
        >>> graph = networkx.Graph([("a", "b"), ("b", "c")])
        >>> networkx.set_node_attributes(graph, {"a": 0, "b": 1, "c": 1}, "label")
        >>> networkx.set_node_attributes(graph, {"a": 0.5, "b": 2, "c": 1}, "age")
        >>> from_networkx(graph).finish().x.flatten().tolist()
        [0.5, 2.0, 1.0]
    """
    attributes = dict(graph.nodes(data=True))
    if not attributes:
        raise DataError(f"{name}: has no nodes.")
    key = next((key for key in _LABELS if any(key in found for found in attributes.values())), None)
    for node, found in attributes.items() if labelled else ():
        if key is None or key not in found:
            raise DataError(
                f"{name}: node {node!r} has no label; expected the attribute {', '.join(map(repr, _LABELS))}."
            )
    numeric = [
        attribute
        for attribute in sorted(set().union(*attributes.values()) - {key})
        if all(isinstance(found.get(attribute), int | float) for found in attributes.values())
    ]
    number = {node: i for i, node in enumerate(attributes)}
    edges = np.array([[number[a], number[b]] for a, b in graph.edges()], dtype=np.int64).reshape(-1, 2).T.copy()
    x = np.array([[found[attribute] for attribute in numeric] for found in attributes.values()], dtype=np.float64)
    if not labelled:
        return RawGraph(name, x if numeric else None, edges, None, count=len(attributes))
    y, classes = named_classes([str(found[key]) for found in attributes.values()])
    return RawGraph(name, x if numeric else None, edges, y, class_names=classes)
