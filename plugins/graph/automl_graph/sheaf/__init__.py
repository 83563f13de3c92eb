"""Cellular sheaves on graphs: restriction maps, their Laplacian and its diffusion."""

from automl_graph.sheaf.laplacian import Normalisation, SheafLaplacian, build_laplacian
from automl_graph.sheaf.maps import RestrictionMaps
from automl_graph.sheaf.orthogonal import OrthogonalMap, orthogonal, orthogonal_numbers
from automl_graph.sheaf.pairs import NodePairs, node_pairs

__all__ = [
    "NodePairs",
    "Normalisation",
    "OrthogonalMap",
    "RestrictionMaps",
    "SheafLaplacian",
    "build_laplacian",
    "node_pairs",
    "orthogonal",
    "orthogonal_numbers",
]
