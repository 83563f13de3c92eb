"""Graphs with node labels, and collections of graphs with a label each: built in, from files, and objects of torch-geometric."""

from automl_graph.data.archive import load_archive, read_archive
from automl_graph.data.digits_knn import digits_neighbours
from automl_graph.data.graph_archive import read_graphs
from automl_graph.data.graph_collection import GraphCollection
from automl_graph.data.graphml import from_networkx
from automl_graph.data.karate import karate_club
from automl_graph.data.node_data import NodeData
from automl_graph.data.planetoid import load_planetoid
from automl_graph.data.pyg_collection import collection_from_pyg
from automl_graph.data.raw_graph import RawGraph
from automl_graph.data.reading import find_graph, holds_graph, load_graph
from automl_graph.data.tensors import from_pyg

__all__ = [
    "GraphCollection",
    "NodeData",
    "RawGraph",
    "collection_from_pyg",
    "digits_neighbours",
    "find_graph",
    "from_networkx",
    "from_pyg",
    "holds_graph",
    "karate_club",
    "load_archive",
    "load_graph",
    "load_planetoid",
    "read_archive",
    "read_graphs",
]
