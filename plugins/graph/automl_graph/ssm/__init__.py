"""Selective state space models on sequences: scans, the differentiable operator and the block."""

from automl_graph.ssm.block import BiSelectiveSSM, SelectiveSSM
from automl_graph.ssm.scan import chunked_scan, doubling_scan, sequential_scan
from automl_graph.ssm.selective import selective_scan

__all__ = [
    "BiSelectiveSSM",
    "SelectiveSSM",
    "chunked_scan",
    "doubling_scan",
    "selective_scan",
    "sequential_scan",
]
