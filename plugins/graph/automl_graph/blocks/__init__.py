"""Blocks and heads on the ``graph`` signal."""

from automl_graph.blocks.classifier import NodeClassifier
from automl_graph.blocks.dagnn import DAGNN, DAGNNHead
from automl_graph.blocks.gcn import GCN
from automl_graph.blocks.graph_readout import GraphReadout
from automl_graph.blocks.kpath import KPath
from automl_graph.blocks.lcm import LCM
from automl_graph.blocks.mlp import MLP
from automl_graph.blocks.perceptron import MultilayerPerceptron
from automl_graph.blocks.sage import SAGE

__all__ = [
    "DAGNN",
    "GCN",
    "LCM",
    "MLP",
    "SAGE",
    "DAGNNHead",
    "GraphReadout",
    "KPath",
    "MultilayerPerceptron",
    "NodeClassifier",
]
