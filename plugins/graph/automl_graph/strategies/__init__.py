"""Training strategies that need graphs."""

from automl_graph.strategies.contrastive import GraphContrastive

__all__ = ["GraphContrastive"]
