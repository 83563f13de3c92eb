"""Graphs with node labels, and collections of graphs with a label each: some that need no download, and files."""

from automl_graph.data.archive import read_archive
from automl_graph.data.digits_knn import digits_neighbours
from automl_graph.data.graph_archive import read_graphs
from automl_graph.data.graph_collection import GraphCollection
from automl_graph.data.karate import karate_club
from automl_graph.data.node_data import NodeData

__all__ = ["GraphCollection", "NodeData", "digits_neighbours", "karate_club", "read_archive", "read_graphs"]
