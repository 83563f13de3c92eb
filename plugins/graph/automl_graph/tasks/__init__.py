"""Tasks on graphs."""

from automl_graph.tasks.graph_classification import GraphClassification
from automl_graph.tasks.graph_options import GraphOptions
from automl_graph.tasks.graph_regression import GraphRegression
from automl_graph.tasks.node_classification import NodeClassification
from automl_graph.tasks.options import NodeOptions

__all__ = ["GraphClassification", "GraphOptions", "GraphRegression", "NodeClassification", "NodeOptions"]
