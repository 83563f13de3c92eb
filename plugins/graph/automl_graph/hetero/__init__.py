"""Heterogeneous graphs: nodes of several types, relations between them, and blocks that look along relations."""

from automl_graph.hetero.archive import from_hetero_data, load_typed_archive
from automl_graph.hetero.classifier import HeteroClassifier
from automl_graph.hetero.han import HAN
from automl_graph.hetero.hgt import HGT
from automl_graph.hetero.joining import MetaRelation, joined_edges, meta_relations
from automl_graph.hetero.latte import LATTE, LATTEHead
from automl_graph.hetero.mlp import HeteroMLP
from automl_graph.hetero.planted import planted_papers
from automl_graph.hetero.proximity import proximity_loss, sample_non_edges
from automl_graph.hetero.schema import Relation, Schema, TypeWidths
from automl_graph.hetero.signal import HeteroFormat, HeteroGraph
from automl_graph.hetero.task import HeteroNodeClassification
from automl_graph.hetero.typed_data import NodeType, TypedData

__all__ = [
    "HAN",
    "HGT",
    "LATTE",
    "HeteroClassifier",
    "HeteroFormat",
    "HeteroGraph",
    "HeteroMLP",
    "HeteroNodeClassification",
    "LATTEHead",
    "MetaRelation",
    "NodeType",
    "Relation",
    "Schema",
    "TypeWidths",
    "TypedData",
    "from_hetero_data",
    "joined_edges",
    "load_typed_archive",
    "meta_relations",
    "planted_papers",
    "proximity_loss",
    "sample_non_edges",
]
