"""Entry module of the plugin: names, signals and summaries. Everything heavy is imported when it is first used."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from automl.host import Family, Probe, SignalKind, Space, Task, hookimpl

__all__ = ["automl_families", "automl_probes", "automl_signals", "automl_spaces", "automl_tasks"]

_SPACES: Final = Path(__file__).parent / "spaces"
_REQUIRES: Final = ("torch_geometric",)
_EXTRA: Final = "automl-graph"


@hookimpl
def automl_signals() -> list[SignalKind]:
    """The payload that blocks on graphs share."""
    return [
        SignalKind(
            name="graph",
            summary="Node features [N, F] and edges [2, E]",
            target="automl_graph.signal:GraphFormat",
        )
    ]


@hookimpl
def automl_families() -> list[Family]:
    """Blocks and heads on graphs."""
    return [
        Family(
            name="graph.classifier",
            summary="Linear layer on every node (head)",
            target="automl_graph.blocks.classifier:NodeClassifier",
            accepts="graph",
            produces="logits",
            requires=_REQUIRES,
            extra=_EXTRA,
        ),
        Family(
            name="graph.dagnn",
            summary="Perceptron, then many propagations without weights, adaptively weighed",
            target="automl_graph.blocks.dagnn:DAGNN",
            accepts="graph",
            produces="graph",
            requires=_REQUIRES,
            extra=_EXTRA,
        ),
        Family(
            name="graph.dagnn_head",
            summary="The whole DAGNN network on class scores (head)",
            target="automl_graph.blocks.dagnn:DAGNNHead",
            accepts="graph",
            produces="logits",
            requires=_REQUIRES,
            extra=_EXTRA,
        ),
        Family(
            name="graph.gcn",
            summary="Graph convolution with normalised adjacency",
            target="automl_graph.blocks.gcn:GCN",
            accepts="graph",
            produces="graph",
            requires=_REQUIRES,
            extra=_EXTRA,
        ),
        Family(
            name="graph.gmn",
            summary="Graph Mamba: nodes in a row, read by selective state space layers",
            target="automl_graph.blocks.gmn:GMN",
            accepts="graph",
            produces="graph",
            requires=_REQUIRES,
            extra=_EXTRA,
        ),
        Family(
            name="graph.mamba_gps",
            summary="Mamba over nodes sorted by degree, beside gated message passing",
            target="automl_graph.blocks.gmn:GraphMambaGPS",
            accepts="graph",
            produces="graph",
            requires=_REQUIRES,
            extra=_EXTRA,
        ),
        Family(
            name="graph.mlp",
            summary="Linear layer and ReLU on every node, without edges",
            target="automl_graph.blocks.mlp:MLP",
            accepts="graph",
            produces="graph",
            requires=_REQUIRES,
            extra=_EXTRA,
        ),
        Family(
            name="graph.sage",
            summary="GraphSAGE convolution, mean, sum or maximum over neighbours",
            target="automl_graph.blocks.sage:SAGE",
            accepts="graph",
            produces="graph",
            requires=_REQUIRES,
            extra=_EXTRA,
        ),
        Family(
            name="graph.tangnn",
            summary="TANGNN: neighbours beside attention to the m best-scored nodes of the graph",
            target="automl_graph.blocks.tangnn:TANGNN",
            accepts="graph",
            produces="graph",
            requires=_REQUIRES,
            extra=_EXTRA,
        ),
    ]


@hookimpl
def automl_tasks() -> list[Task]:
    """Tasks on one graph."""
    return [
        Task(
            name="node-classification",
            summary="Classes of the nodes of one graph: digits-knn, karate or an .npz file",
            target="automl_graph.tasks.node_classification:NodeClassification",
            signal="graph",
            default_data="digits-knn",
            requires=_REQUIRES,
            extra=_EXTRA,
        )
    ]


@hookimpl
def automl_spaces() -> list[Space]:
    """Shared search spaces on graphs."""
    return [
        Space(
            name="graph/node",
            summary="Message passing and deep propagation for node classification",
            path=_SPACES / "node.yaml",
        )
    ]


@hookimpl
def automl_probes() -> list[Probe]:
    """Numbers read off node features."""
    return [
        Probe(
            name="graph.smoothness",
            summary="Mean distance between the directions of node features; 0 is over-smoothed",
            target="automl_graph.probes.smoothness:Smoothness",
        )
    ]
