"""Graphs with node labels: two that need no download, and files."""

from automl_graph.data.archive import read_archive
from automl_graph.data.digits_knn import digits_neighbours
from automl_graph.data.karate import karate_club
from automl_graph.data.node_data import NodeData

__all__ = ["NodeData", "digits_neighbours", "karate_club", "read_archive"]
