"""Link prediction: division of edges, pairs that are not linked, metrics, the task."""

from automl_graph.links.metrics import hits_at, score_links
from automl_graph.links.options import LinkOptions
from automl_graph.links.pairs import both_directions, sample_unlinked, split_links, unique_links
from automl_graph.links.task import LinkPrediction

__all__ = [
    "LinkOptions",
    "LinkPrediction",
    "both_directions",
    "hits_at",
    "sample_unlinked",
    "score_links",
    "split_links",
    "unique_links",
]
