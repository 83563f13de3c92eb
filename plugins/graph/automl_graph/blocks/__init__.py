"""Blocks and heads on the ``graph`` signal."""

from automl_graph.blocks.classifier import NodeClassifier
from automl_graph.blocks.dagnn import DAGNN, DAGNNHead
from automl_graph.blocks.gcn import GCN
from automl_graph.blocks.gmn import GMN, GraphMambaGPS
from automl_graph.blocks.mlp import MLP
from automl_graph.blocks.perceptron import MultilayerPerceptron
from automl_graph.blocks.sage import SAGE
from automl_graph.blocks.tangnn import TANGNN

__all__ = [
    "DAGNN",
    "GCN",
    "GMN",
    "MLP",
    "SAGE",
    "TANGNN",
    "DAGNNHead",
    "GraphMambaGPS",
    "MultilayerPerceptron",
    "NodeClassifier",
]
