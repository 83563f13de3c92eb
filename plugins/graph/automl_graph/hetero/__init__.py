"""Heterogeneous graphs: nodes of several types, relations between them, and blocks that look along relations."""

from automl_graph.hetero.classifier import HeteroClassifier
from automl_graph.hetero.joining import MetaRelation, joined_edges, meta_relations
from automl_graph.hetero.latte import LATTE, LATTEHead
from automl_graph.hetero.mlp import HeteroMLP
from automl_graph.hetero.proximity import proximity_loss, sample_non_edges
from automl_graph.hetero.schema import Relation, Schema, TypeWidths
from automl_graph.hetero.signal import HeteroFormat, HeteroGraph

__all__ = [
    "LATTE",
    "HeteroClassifier",
    "HeteroFormat",
    "HeteroGraph",
    "HeteroMLP",
    "LATTEHead",
    "MetaRelation",
    "Relation",
    "Schema",
    "TypeWidths",
    "joined_edges",
    "meta_relations",
    "proximity_loss",
    "sample_non_edges",
]
