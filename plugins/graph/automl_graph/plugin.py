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


def _family(
    name: str, summary: str, target: str, *, accepts: str = "graph", produces: str = "", by_name_only: bool = False
) -> Family:
    """Describes a block that gives the signal kind it takes, unless ``produces`` says otherwise."""
    return Family(
        name=name,
        summary=summary,
        target=f"automl_graph.{target}",
        accepts=accepts,
        produces=produces or accepts,
        requires=_REQUIRES,
        extra=_EXTRA,
        by_name_only=by_name_only,
    )


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
        _family("graph.appnp", "Perceptron, then personalised propagation without weights", "blocks.appnp:APPNP"),
        _family("graph.arma", "Recursive filters in parallel stacks", "blocks.arma:ARMA"),
        _family(
            "graph.autognn_layer",
            "One attention layer whose every part is searched (Auto-GNN)",
            "blocks.autognn_layer:AutoGNNLayer",
        ),
        _family("graph.cheb", "Chebyshev filters of the graph Laplacian", "blocks.cheb:Cheb"),
        _family(
            "graph.classifier",
            "Linear layer on every node (head)",
            "blocks.classifier:NodeClassifier",
            produces="logits",
        ),
        _family(
            "graph.dagnn",
            "Perceptron, then many propagations without weights, adaptively weighed",
            "blocks.dagnn:DAGNN",
        ),
        _family(
            "graph.dagnn_head",
            "The whole DAGNN network on class scores (head)",
            "blocks.dagnn:DAGNNHead",
            produces="logits",
        ),
        _family(
            "graph.factorisation",
            "Matrix factorisation: vectors are scored as they are",
            "recommend.blocks:Factorisation",
            accepts="embeddings",
        ),
        _family("graph.gat", "Graph attention, several heads", "blocks.gat:GAT"),
        _family("graph.gatv2", "Dynamic graph attention, several heads", "blocks.gatv2:GATv2"),
        _family("graph.gcn", "Graph convolution with normalised adjacency", "blocks.gcn:GCN"),
        _family("graph.gcnii", "Deep convolution with initial residual and identity mapping", "blocks.gcnii:GCNII"),
        _family("graph.gin", "Sum over neighbours, then a perceptron", "blocks.gin:GIN"),
        _family(
            "graph.gmn",
            "Graph Mamba: nodes in a row, read by selective state space layers",
            "blocks.gmn:GMN",
            by_name_only=True,
        ),
        _family(
            "graph.han",
            "Attention inside relations or meta-paths, then one weight for each",
            "hetero.han:HAN",
            accepts="hetero-graph",
        ),
        _family(
            "graph.hetero_classifier",
            "Linear layer on every node of the classified type (head)",
            "hetero.classifier:HeteroClassifier",
            accepts="hetero-graph",
            produces="logits",
        ),
        _family(
            "graph.hetero_mlp",
            "Linear layer and ReLU on every node, one for each type, without edges",
            "hetero.mlp:HeteroMLP",
            accepts="hetero-graph",
        ),
        _family(
            "graph.hgt",
            "Attention over all relations at once, with matrices for each",
            "hetero.hgt:HGT",
            accepts="hetero-graph",
        ),
        _family(
            "graph.kpath",
            "Small network on the paths around every node, with exact counts of paths and cycles",
            "blocks.kpath:KPath",
            by_name_only=True,
        ),
        _family(
            "graph.latte",
            "Attention over relations that it composes itself, order by order",
            "hetero.latte:LATTE",
            accepts="hetero-graph",
        ),
        _family(
            "graph.latte_head",
            "The whole LATTE network on class scores (head)",
            "hetero.latte:LATTEHead",
            accepts="hetero-graph",
            produces="logits",
        ),
        _family(
            "graph.lcm", "Message passing with fixed, recurrent or learned commutative aggregation", "blocks.lcm:LCM"
        ),
        _family(
            "graph.lightgcn",
            "LightGCN: propagation without weights over interactions",
            "recommend.blocks:LightGCN",
            accepts="embeddings",
        ),
        _family(
            "graph.link_scores",
            "Product of two nodes, or a perceptron on it, for pairs of nodes (head)",
            "blocks.link_scores:LinkScores",
            produces="logits",
        ),
        _family("graph.linkx", "Features and neighbourhoods transformed apart, then joined", "blocks.linkx:LINKX"),
        _family(
            "graph.local_augmentation",
            "Generated features of neighbours beside the own, for any block behind it (LAGNN)",
            "blocks.local_augmentation:LocalAugmentation",
            by_name_only=True,
        ),
        _family(
            "graph.mamba_gps",
            "Mamba over nodes sorted by degree, beside gated message passing",
            "blocks.gmn:GraphMambaGPS",
            by_name_only=True,
        ),
        _family("graph.mlp", "Linear layer and ReLU on every node, without edges", "blocks.mlp:MLP"),
        _family(
            "graph.readout",
            "Sum, mean, maximum or a learned readout of each graph, then a linear layer (head)",
            "blocks.graph_readout:GraphReadout",
            produces="logits",
        ),
        _family("graph.sage", "GraphSAGE convolution, mean, sum or maximum over neighbours", "blocks.sage:SAGE"),
        _family(
            "graph.sheaf",
            "Diffusion on a learned sheaf: edges learn how the stalks of two nodes compare",
            "blocks.sheaf:Sheaf",
        ),
        _family(
            "graph.sheaf4rec",
            "Sheaf diffusion over interactions",
            "recommend.sheaf4rec:Sheaf4Rec",
            accepts="embeddings",
        ),
        _family(
            "graph.sheaf_ode",
            "Sheaf diffusion in continuous time, with a fixed-step solver",
            "blocks.sheaf_ode:SheafODE",
            by_name_only=True,
        ),
        _family(
            "graph.table",
            "A learned vector for every user and item",
            "recommend.table:NodeTable",
            accepts="bipartite",
            produces="embeddings",
        ),
        _family(
            "graph.tangnn",
            "TANGNN: neighbours beside attention to the m best-scored nodes of the graph",
            "blocks.tangnn:TANGNN",
        ),
        _family(
            "graph.transformer", "Scaled dot-product attention over neighbours", "blocks.transformer:GraphTransformer"
        ),
        _family(
            "graph.walk_encoding",
            "Return probabilities of random walks beside the features, for any block behind it",
            "blocks.walk_encoding:WalkEncoding",
            by_name_only=True,
        ),
    ]


@hookimpl
def automl_tasks() -> list[Task]:
    """Tasks on one graph and on many."""
    return [
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
            name="hetero-node-classification",
            summary="Classes of the nodes of one type of a heterogeneous graph: planted-papers or an .npz file",
            target="automl_graph.hetero.task:HeteroNodeClassification",
            signal="hetero-graph",
            default_data="planted-papers",
            requires=_REQUIRES,
            extra=_EXTRA,
        ),
        Task(
            name="link-prediction",
            summary="Which nodes of one graph are linked: digits-links, karate-links, a file or a folder",
            target="automl_graph.links.task:LinkPrediction",
            signal="graph",
            default_data="digits-links",
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
            name="bipartite/recommend",
            summary="Recommendation by sheaf diffusion, LightGCN and matrix factorisation",
            path=_SPACES / "recommend.yaml",
        ),
        Space(
            name="graph/augmented",
            summary="Generated features of neighbours, then deep propagation, for few labels (LAGNN)",
            path=_SPACES / "augmented.yaml",
        ),
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
            name="graph/level",
            summary="Message passing, learned aggregation and path counts for tasks on whole graphs",
            path=_SPACES / "level.yaml",
        ),
        Space(
            name="graph/link-prediction",
            summary="Message passing and deep propagation, then a score of pairs, for link prediction",
            path=_SPACES / "link_prediction.yaml",
        ),
        Space(
            name="graph/node",
            summary="Message passing and deep propagation for node classification",
            path=_SPACES / "node.yaml",
        ),
        Space(
            name="hetero-graph/node",
            summary="Attention over relations for node classification on heterogeneous graphs",
            path=_SPACES / "hetero.yaml",
        ),
    ]


@hookimpl
def automl_strategies() -> list[Strategy]:
    """Ways to train that need graphs."""
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
        Strategy(
            name="graph-contrastive",
            summary="Another strategy, and a contrastive loss on views without unimportant edges",
            target="automl_graph.strategies.contrastive:GraphContrastive",
            requires=_REQUIRES,
            extra=_EXTRA,
        ),
    ]


@hookimpl
def automl_probes() -> list[Probe]:
    """Numbers read off node features."""
    return [
        Probe(
            name="graph.algebra",
            summary="How far a learned operator is from associative; 0 is a commutative monoid",
            target="automl_graph.probes.algebra:AlgebraDefect",
        ),
        Probe(
            name="graph.relation_usage",
            summary="How much nodes of each type prefer each composed relation of LATTE",
            target="automl_graph.probes.relation_usage:RelationUsage",
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
    """What recommendation lacks to perfect lists, and links to perfect order; minimised, so each is 1 minus its metric."""
    return [
        Objective(name=name, summary=summary, target=f"automl_graph.{target}")
        for name, summary, target in (
            ("ap-error", "1 - average precision of link prediction", "links.objectives:APError"),
            ("f1-loss", "1 - F1@N of recommendation", "recommend.objectives:F1Loss"),
            (
                "hits-loss",
                "1 - share of users with a relevant item among the first N",
                "recommend.objectives:HitsLoss",
            ),
            ("link-hits-loss", "1 - Hits@N of link prediction", "links.objectives:LinkHitsLoss"),
            ("ndcg-loss", "1 - NDCG@N of recommendation", "recommend.objectives:NDCGLoss"),
            ("recall-loss", "1 - Recall@N of recommendation", "recommend.objectives:RecallLoss"),
        )
    ]
