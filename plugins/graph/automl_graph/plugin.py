"""Entry module of the plugin: names, signals and summaries. Everything heavy is imported when it is first used."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from automl.host import Family, Probe, SignalKind, Space, Strategy, Task, hookimpl

__all__ = ["automl_families", "automl_probes", "automl_signals", "automl_spaces", "automl_strategies", "automl_tasks"]

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
            name="graph.appnp",
            summary="Perceptron, then personalised propagation without weights",
            target="automl_graph.blocks.appnp:APPNP",
            accepts="graph",
            produces="graph",
            requires=_REQUIRES,
            extra=_EXTRA,
        ),
        Family(
            name="graph.arma",
            summary="Recursive filters in parallel stacks",
            target="automl_graph.blocks.arma:ARMA",
            accepts="graph",
            produces="graph",
            requires=_REQUIRES,
            extra=_EXTRA,
        ),
        Family(
            name="graph.autognn_layer",
            summary="One attention layer whose every part is searched (Auto-GNN)",
            target="automl_graph.blocks.autognn_layer:AutoGNNLayer",
            accepts="graph",
            produces="graph",
            requires=_REQUIRES,
            extra=_EXTRA,
        ),
        Family(
            name="graph.cheb",
            summary="Chebyshev filters of the graph Laplacian",
            target="automl_graph.blocks.cheb:Cheb",
            accepts="graph",
            produces="graph",
            requires=_REQUIRES,
            extra=_EXTRA,
        ),
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
            name="graph.gat",
            summary="Graph attention, several heads",
            target="automl_graph.blocks.gat:GAT",
            accepts="graph",
            produces="graph",
            requires=_REQUIRES,
            extra=_EXTRA,
        ),
        Family(
            name="graph.gatv2",
            summary="Dynamic graph attention, several heads",
            target="automl_graph.blocks.gatv2:GATv2",
            accepts="graph",
            produces="graph",
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
            name="graph.gcnii",
            summary="Deep convolution with initial residual and identity mapping",
            target="automl_graph.blocks.gcnii:GCNII",
            accepts="graph",
            produces="graph",
            requires=_REQUIRES,
            extra=_EXTRA,
        ),
        Family(
            name="graph.gin",
            summary="Sum over neighbours, then a perceptron",
            target="automl_graph.blocks.gin:GIN",
            accepts="graph",
            produces="graph",
            requires=_REQUIRES,
            extra=_EXTRA,
        ),
        Family(
            name="graph.linkx",
            summary="Features and neighbourhoods transformed apart, then joined",
            target="automl_graph.blocks.linkx:LINKX",
            accepts="graph",
            produces="graph",
            requires=_REQUIRES,
            extra=_EXTRA,
        ),
        Family(
            name="graph.local_augmentation",
            summary="Generated features of neighbours beside the own, for any block behind it (LAGNN)",
            target="automl_graph.blocks.local_augmentation:LocalAugmentation",
            by_name_only=True,
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
            name="graph.transformer",
            summary="Scaled dot-product attention over neighbours",
            target="automl_graph.blocks.transformer:GraphTransformer",
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
            summary="Classes of the nodes of one graph: digits-knn, karate, a file or a folder",
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
            name="graph/autognn",
            summary="Two attention layers whose every part is searched (Auto-GNN)",
            path=_SPACES / "autognn.yaml",
        ),
        Space(
            name="graph/heterophily",
            summary="Own features beside those of neighbours, for graphs whose neighbours differ in class",
            path=_SPACES / "heterophily.yaml",
        ),
        Space(
            name="graph/homophily",
            summary="Deep propagation, for graphs whose neighbours share a class",
            path=_SPACES / "homophily.yaml",
        ),
        Space(
            name="graph/node",
            summary="Message passing and deep propagation for node classification",
            path=_SPACES / "node.yaml",
        ),
    ]


@hookimpl
def automl_strategies() -> list[Strategy]:
    """Ways to train a supernet on graphs."""
    return [
        Strategy(
            name="consistency",
            summary="One random subnetwork each step, run several times; its answers are to agree (LAGNN)",
            target="automl_graph.local_augmentation.strategy:Consistency",
            requires=_REQUIRES,
            extra=_EXTRA,
        ),
        Strategy(
            name="forward",
            summary="Slot after slot by a local loss against virtual nodes of the classes; then the head (ForwardGNN)",
            target="automl_graph.forward_learning.strategy:Forward",
            requires=_REQUIRES,
            extra=_EXTRA,
        ),
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
