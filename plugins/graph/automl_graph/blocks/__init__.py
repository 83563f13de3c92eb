"""Blocks and heads on the ``graph`` signal."""

from automl_graph.blocks.appnp import APPNP
from automl_graph.blocks.arma import ARMA
from automl_graph.blocks.autognn_layer import AutoGNNLayer
from automl_graph.blocks.cheb import Cheb
from automl_graph.blocks.classifier import NodeClassifier
from automl_graph.blocks.dagnn import DAGNN, DAGNNHead
from automl_graph.blocks.gat import GAT
from automl_graph.blocks.gatv2 import GATv2
from automl_graph.blocks.gcn import GCN
from automl_graph.blocks.gcnii import GCNII
from automl_graph.blocks.gin import GIN
from automl_graph.blocks.gmn import GMN, GraphMambaGPS
from automl_graph.blocks.graph_readout import GraphReadout
from automl_graph.blocks.kpath import KPath
from automl_graph.blocks.lcm import LCM
from automl_graph.blocks.link_scores import LinkScores
from automl_graph.blocks.linkx import LINKX
from automl_graph.blocks.local_augmentation import LocalAugmentation
from automl_graph.blocks.mlp import MLP
from automl_graph.blocks.perceptron import MultilayerPerceptron
from automl_graph.blocks.sage import SAGE
from automl_graph.blocks.sheaf import Sheaf
from automl_graph.blocks.sheaf_ode import SheafODE
from automl_graph.blocks.tangnn import TANGNN
from automl_graph.blocks.transformer import GraphTransformer
from automl_graph.blocks.walk_encoding import WalkEncoding

__all__ = [
    "APPNP",
    "ARMA",
    "DAGNN",
    "GAT",
    "GCN",
    "GCNII",
    "GIN",
    "GMN",
    "LCM",
    "LINKX",
    "MLP",
    "SAGE",
    "TANGNN",
    "AutoGNNLayer",
    "Cheb",
    "DAGNNHead",
    "GATv2",
    "GraphMambaGPS",
    "GraphReadout",
    "GraphTransformer",
    "KPath",
    "LinkScores",
    "LocalAugmentation",
    "MultilayerPerceptron",
    "NodeClassifier",
    "Sheaf",
    "SheafODE",
    "WalkEncoding",
]
