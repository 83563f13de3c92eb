"""Graphs for automl: the `graph` signal, node classification, message-passing blocks and deep propagation."""

from automl_graph import plugin

__all__ = ["plugin"]
