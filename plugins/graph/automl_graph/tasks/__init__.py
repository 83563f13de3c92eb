"""Tasks on graphs."""

from automl_graph.tasks.node_classification import NodeClassification
from automl_graph.tasks.options import NodeOptions

__all__ = ["NodeClassification", "NodeOptions"]
