"""Entry module of the plugin: names, signals and summaries. Everything heavy is imported when it is first used."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from automl.host import Family, Objective, Probe, SignalKind, Space, Strategy, Task, hookimpl

__all__ = [
    "automl_families",
    "automl_objectives",
    "automl_probes",
    "automl_signals",
    "automl_spaces",
    "automl_strategies",
    "automl_tasks",
]

_SPACES: Final = Path(__file__).parent / "spaces"
_REQUIRES: Final = ("torch_geometric",)
_EXTRA: Final = "automl-graph"


@hookimpl
def automl_signals() -> list[SignalKind]:
    """The payload that blocks on graphs share."""
    return [
        SignalKind(
            name="bipartite",
            summary="Users to recommend for, and interactions of users with items",
            target="automl_graph.recommend.signals:BipartiteFormat",
        ),
        SignalKind(
            name="embeddings",
            summary="Vectors of users and items [N, F], and their interactions",
            target="automl_graph.recommend.signals:EmbeddingsFormat",
        ),
        SignalKind(
            name="graph",
            summary="Node features [N, F] and edges [2, E]",
            target="automl_graph.signal:GraphFormat",
        ),
        SignalKind(
            name="hetero-graph",
            summary="Node features of several types and edges of several relations",
            target="automl_graph.hetero.signal:HeteroFormat",
        ),
    ]


@hookimpl
def automl_families() -> list[Family]:
    """Blocks and heads on graphs."""
    return [
        *(
            Family(
                name=f"graph.{name}",
                summary=summary,
                target=f"automl_graph.hetero.{target}",
                accepts="hetero-graph",
                produces=produces,
                requires=_REQUIRES,
                extra=_EXTRA,
            )
            for name, summary, target, produces in (
                (
                    "han",
                    "Attention inside relations or meta-paths, then one weight for each",
                    "han:HAN",
                    "hetero-graph",
                ),
                (
                    "hetero_mlp",
                    "Linear layer and ReLU on every node, one for each type, without edges",
                    "mlp:HeteroMLP",
                    "hetero-graph",
                ),
                ("hgt", "Attention over all relations at once, with matrices for each", "hgt:HGT", "hetero-graph"),
                (
                    "latte",
                    "Attention over relations that it composes itself, order by order",
                    "latte:LATTE",
                    "hetero-graph",
                ),
                (
                    "hetero_classifier",
                    "Linear layer on every node of the classified type (head)",
                    "classifier:HeteroClassifier",
                    "logits",
                ),
                ("latte_head", "The whole LATTE network on class scores (head)", "latte:LATTEHead", "logits"),
            )
        ),
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
            name="graph.factorisation",
            summary="Matrix factorisation: vectors are scored as they are",
            target="automl_graph.recommend.blocks:Factorisation",
            accepts="embeddings",
            produces="embeddings",
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
            name="graph.gmn",
            summary="Graph Mamba: nodes in a row, read by selective state space layers",
            target="automl_graph.blocks.gmn:GMN",
            accepts="graph",
            produces="graph",
            requires=_REQUIRES,
            extra=_EXTRA,
            by_name_only=True,
        ),
        Family(
            name="graph.kpath",
            summary="Small network on the paths around every node, with exact counts of paths and cycles",
            target="automl_graph.blocks.kpath:KPath",
            accepts="graph",
            produces="graph",
            requires=_REQUIRES,
            extra=_EXTRA,
            by_name_only=True,
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
            name="graph.lightgcn",
            summary="LightGCN: propagation without weights over interactions",
            target="automl_graph.recommend.blocks:LightGCN",
            accepts="embeddings",
            produces="embeddings",
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
            name="graph.lcm",
            summary="Message passing with fixed, recurrent or learned commutative aggregation",
            target="automl_graph.blocks.lcm:LCM",
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
            by_name_only=True,
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
            name="graph.readout",
            summary="Sum, mean, maximum or a learned readout of each graph, then a linear layer (head)",
            target="automl_graph.blocks.graph_readout:GraphReadout",
            accepts="graph",
            produces="logits",
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
            name="graph.sheaf",
            summary="Diffusion on a learned sheaf: edges learn how the stalks of two nodes compare",
            target="automl_graph.blocks.sheaf:Sheaf",
            accepts="graph",
            produces="graph",
            requires=_REQUIRES,
            extra=_EXTRA,
        ),
        Family(
            name="graph.sheaf4rec",
            summary="Sheaf diffusion over interactions",
            target="automl_graph.recommend.sheaf4rec:Sheaf4Rec",
            accepts="embeddings",
            produces="embeddings",
            requires=_REQUIRES,
            extra=_EXTRA,
        ),
        Family(
            name="graph.sheaf_ode",
            summary="Sheaf diffusion in continuous time, with a fixed-step solver",
            target="automl_graph.blocks.sheaf_ode:SheafODE",
            accepts="graph",
            produces="graph",
            requires=_REQUIRES,
            extra=_EXTRA,
            by_name_only=True,
        ),
        Family(
            name="graph.table",
            summary="A learned vector for every user and item",
            target="automl_graph.recommend.table:NodeTable",
            accepts="bipartite",
            produces="embeddings",
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
    """Tasks on one graph and on many."""
    return [
        Task(
            name="hetero-node-classification",
            summary="Classes of the nodes of one type of a heterogeneous graph: planted-papers or an .npz file",
            target="automl_graph.hetero.task:HeteroNodeClassification",
            signal="hetero-graph",
            default_data="planted-papers",
            requires=_REQUIRES,
            extra=_EXTRA,
        ),
        Task(
            name="graph-classification",
            summary="Classes of whole graphs: cycles-or-trees, triangle-or-not or an .npz file",
            target="automl_graph.tasks.graph_classification:GraphClassification",
            signal="graph",
            default_data="cycles-or-trees",
            requires=_REQUIRES,
            extra=_EXTRA,
        ),
        Task(
            name="graph-regression",
            summary="A value of whole graphs: triangles, 4-cycles, 5-cycles, 4-paths or an .npz file",
            target="automl_graph.tasks.graph_regression:GraphRegression",
            signal="graph",
            default_data="4-cycles",
            requires=_REQUIRES,
            extra=_EXTRA,
        ),
        Task(
            name="node-classification",
            summary="Classes of the nodes of one graph: digits-knn, karate, a file or a folder",
            target="automl_graph.tasks.node_classification:NodeClassification",
            signal="graph",
            default_data="digits-knn",
            requires=_REQUIRES,
            extra=_EXTRA,
        ),
        Task(
            name="recommendation",
            summary="Ranking of items for users: user-item-blocks, or a .npz, .csv, .tsv or .inter file",
            target="automl_graph.recommend.task:Recommendation",
            signal="bipartite",
            default_data="user-item-blocks",
            requires=_REQUIRES,
            extra=_EXTRA,
        ),
    ]


@hookimpl
def automl_spaces() -> list[Space]:
    """Shared search spaces on graphs."""
    return [
        Space(
            name="hetero-graph/node",
            summary="Attention over relations for node classification on heterogeneous graphs",
            path=_SPACES / "hetero.yaml",
        ),
        Space(
            name="bipartite/recommend",
            summary="Recommendation by sheaf diffusion, LightGCN and matrix factorisation",
            path=_SPACES / "recommend.yaml",
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
            name="graph/level",
            summary="Message passing, learned aggregation and path counts for tasks on whole graphs",
            path=_SPACES / "level.yaml",
        ),
        Space(
            name="graph/node",
            summary="Message passing and deep propagation for node classification",
            path=_SPACES / "node.yaml",
        ),
    ]


@hookimpl
def automl_strategies() -> list[Strategy]:
    """Ways to train that need graphs."""
    return [
        Strategy(
            name="graph-contrastive",
            summary="Another strategy, and a contrastive loss on views without unimportant edges",
            target="automl_graph.strategies.contrastive:GraphContrastive",
            requires=_REQUIRES,
            extra=_EXTRA,
        )
    ]


@hookimpl
def automl_probes() -> list[Probe]:
    """Numbers read off node features."""
    return [
        Probe(
            name="graph.relation_usage",
            summary="How much nodes of each type prefer each composed relation of LATTE",
            target="automl_graph.probes.relation_usage:RelationUsage",
        ),
        Probe(
            name="graph.algebra",
            summary="How far a learned operator is from associative; 0 is a commutative monoid",
            target="automl_graph.probes.algebra:AlgebraDefect",
        ),
        Probe(
            name="graph.sheaf_spectrum",
            summary="Eigenvalues, harmonic space and Dirichlet energy of a sheaf; a trivial sheaf by default",
            target="automl_graph.probes.sheaf_spectrum:SheafSpectrum",
        ),
        Probe(
            name="graph.smoothness",
            summary="Mean distance between the directions of node features; 0 is over-smoothed",
            target="automl_graph.probes.smoothness:Smoothness",
        ),
    ]


@hookimpl
def automl_objectives() -> list[Objective]:
    """What recommendation lacks to perfect lists; minimised, so each is 1 minus its metric."""
    return [
        Objective(name=name, summary=summary, target=f"automl_graph.recommend.objectives:{target}")
        for name, summary, target in (
            ("f1-loss", "1 - F1@N of recommendation", "F1Loss"),
            ("hits-loss", "1 - share of users with a relevant item among the first N", "HitsLoss"),
            ("ndcg-loss", "1 - NDCG@N of recommendation", "NDCGLoss"),
            ("recall-loss", "1 - Recall@N of recommendation", "RecallLoss"),
        )
    ]
