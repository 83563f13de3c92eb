"""Forward learning of graph networks: every layer by a loss of its own, without a backward pass through the others.

Source:
    Park et al. 2024, "Forward learning of graph neural networks", ICLR, arXiv:2403.11004.
"""

from automl_graph.forward_learning.labels import LabelledGraph, append_labels, class_nodes
from automl_graph.forward_learning.layer import CachedGCN, normalised_rows
from automl_graph.forward_learning.network import ForwardNetwork
from automl_graph.forward_learning.options import ForwardOptions
from automl_graph.forward_learning.train import train_forward

__all__ = [
    "CachedGCN",
    "ForwardNetwork",
    "ForwardOptions",
    "LabelledGraph",
    "append_labels",
    "class_nodes",
    "normalised_rows",
    "train_forward",
]
