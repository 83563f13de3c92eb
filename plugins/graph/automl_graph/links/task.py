"""Link prediction on one graph."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar, Final, final

import numpy as np
import torch
from pydantic import BaseModel
from torch import Tensor, nn
from torch.nn import functional as F

from automl.errors import ConfigError, DataError
from automl.options import parse_options
from automl.space import SizeLike
from automl.tasks import Batch, StepScale, Task, check_split
from automl.tasks.classification import evaluation_mode
from automl.tasks.splits import PARTS, Part
from automl_graph.blocks.link_scores import LinkScores
from automl_graph.data import NodeData, digits_neighbours, find_graph, karate_club
from automl_graph.data.graph_collection import one_hot_degrees
from automl_graph.links.metrics import METRICS, balanced_loss, score_links
from automl_graph.links.options import LinkOptions
from automl_graph.links.pairs import both_directions, sample_unlinked, split_links, unique_links
from automl_graph.signal import Graph
from automl_graph.tasks.graph_scale import link_scale

__all__ = ["LinkPrediction"]

_BUILT_IN: Final[Mapping[str, Callable[[], NodeData]]] = {
    "digits-links": digits_neighbours,
    "karate-links": karate_club,
    "digits-knn": digits_neighbours,
    "karate": karate_club,
}
_OWN_NAMES: Final = ("digits-links", "karate-links")
_USUAL_HITS: Final = 20


@final
class LinkPrediction(Task):
    """Tells pairs of nodes that are linked from pairs that are not.

    A sample is a link, an undirected edge. Networks take ``x``, ``edge_index`` and ``pairs`` and give one logit for each pair.
    Messages pass along training links only, whatever part is measured: no network ever sees a held-out link in either
    direction. Features of edges are not read, since the pairs that are asked for have none.

    Unlinked pairs of training are drawn anew in every step and avoid training links only, since to avoid others
    would give them away; those of validation and test are drawn once and are no links of any part.

    Args:
        data: the graph; what it says about classes and parts is not used.
        split: links of each part, by their number in ``unique_links``.
        options: shares, N of Hits@N and the like.
        seed: decides the unlinked pairs of validation and test.

    Raises:
        DataError: the graph is directed, has too few links, or lacks unlinked pairs; or the split does not fit.
        ConfigError: N of Hits@N is larger than the number of unlinked pairs.

    Example:
        >>> task = LinkPrediction.load("karate", seed=0)
        >>> {part: len(links) for part, links in task.split.items()}, [tuple(t.shape) for t in task.example_inputs(5)]
        ({'train': 54, 'validation': 8, 'test': 16}, [(34, 34), (2, 108), (2, 5)])
    """

    options_model: ClassVar[type[BaseModel]] = LinkOptions
    signal: ClassVar[str] = "graph"

    def __init__(self, data: NodeData, split: Mapping[str, list[int]], options: LinkOptions, seed: int) -> None:
        _require_undirected(data)
        links = unique_links(data.edge_index)
        self.split = check_split(split, links.shape[1], where=f"{data.name}: split")
        self._data: Final = data
        self._options: Final = options
        self._all_links: Final = links.shape[1]
        self._links = {part: links[:, self.split[part]] for part in PARTS}
        self._edge_index = both_directions(self._links["train"])
        self._unlinked = self._held_out_unlinked(links, seed)
        self._hits: Final = self._hits_rank()
        self._x = _features(data, self._edge_index, options)
        self.input_width = int(self._x.shape[1])
        self.outputs = 1
        self.sample_shape = (2,)
        self.fingerprint = data.fingerprint

    @classmethod
    def load(
        cls,
        data: str,
        *,
        seed: int,
        split: Mapping[str, list[int]] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> LinkPrediction:
        chosen = parse_options(LinkOptions, options or {}, where="task options")
        return cls._divided(_read(data, chosen), split, chosen, seed)

    @classmethod
    def of(cls, graph: NodeData, *, seed: int, options: Mapping[str, Any] | None = None) -> LinkPrediction:
        """Returns the task of a graph from Python.

        Args:
            graph: the graph, with both directions of every edge. Its features must not have been made of edges that are held
                out later, as degrees are.
            seed: decides the split and the unlinked pairs.
            options: values for ``options_model``; those about reading files have no effect.
        """
        return cls._divided(graph, None, parse_options(LinkOptions, options or {}, where="task options"), seed)

    @classmethod
    def _divided(
        cls, graph: NodeData, split: Mapping[str, list[int]] | None, options: LinkOptions, seed: int
    ) -> LinkPrediction:
        _require_undirected(graph)
        if split is None:
            split = split_links(
                unique_links(graph.edge_index).shape[1],
                validation=options.validation,
                test=options.test,
                seed=seed,
                where=graph.name,
            )
        return cls(graph, split, options, seed)

    @classmethod
    def recognises(cls, data: str) -> bool:
        """Tells its own names; graphs in files and other built-in ones could as well be meant for node classification."""
        return data in _OWN_NAMES

    def to(self, device: torch.device | str, dtype: torch.dtype = torch.float32) -> None:
        self._x = self._x.to(device, dtype)
        self._edge_index = self._edge_index.to(device)
        self._links = {part: links.to(device) for part, links in self._links.items()}
        self._unlinked = {part: pairs.to(device) for part, pairs in self._unlinked.items()}

    def train_batches(self, rng: np.random.Generator, batch_size: int) -> Iterator[Batch]:
        links = self._links["train"]
        for _ in range(self._options.steps_per_epoch):
            asked, edge_index = links, self._edge_index
            if self._options.disjoint:
                order = torch.from_numpy(rng.permutation(links.shape[1])).to(links.device)
                count = min(max(1, round(self._options.disjoint * len(order))), len(order) - 1)
                asked, edge_index = links[:, order[:count]], both_directions(links[:, order[count:]])
            unlinked = sample_unlinked(links, self._data.nodes, self._unlinked_for(asked.shape[1]), rng)
            yield self._batch(edge_index, asked, unlinked)

    def batches(self, part: Part, batch_size: int, limit: int | None = None) -> Iterator[Batch]:
        """Yields one batch. ``limit`` concerns links; unlinked pairs are all kept, so that Hits@N keeps its meaning."""
        yield self._batch(self._edge_index, self._links[part][:, :limit], self._unlinked[part])

    def calibration_batches(self, seed: int, samples: int, batch_size: int) -> Iterator[Batch]:
        yield self._batch(self._edge_index, self._links["train"], self._unlinked["train"])

    def loss(self, outputs: Tensor, batch: Batch, label_smoothing: float = 0.0) -> Tensor:
        return balanced_loss(outputs, batch.target, label_smoothing)

    def distillation_loss(self, outputs: Tensor, teacher: Tensor, batch: Batch) -> Tensor:
        return F.binary_cross_entropy_with_logits(outputs.float(), teacher.float().sigmoid())

    def evaluate(self, model: nn.Module, part: Part, batch_size: int, limit: int | None = None) -> dict[str, float]:
        with evaluation_mode(model):
            return self.score((model(*batch.inputs), batch) for batch in self.batches(part, batch_size, limit))

    def score(self, answers: Iterable[tuple[Tensor, Batch]]) -> dict[str, float]:
        with torch.no_grad():
            known = [(outputs, batch.target) for outputs, batch in answers]
            if not known:
                return dict.fromkeys(METRICS, float("nan"))
            logits, targets = (torch.cat(tensors) for tensors in zip(*known, strict=True))
            return score_links(logits, targets, self._hits)

    def example_inputs(self, batch_size: int) -> tuple[Tensor, ...]:
        pairs = self._links["validation"]
        chosen = torch.arange(batch_size, device=pairs.device) % pairs.shape[1]
        return self._x, self._edge_index, pairs[:, chosen]

    @property
    def input_names(self) -> tuple[str, ...]:
        return ("x", "edge_index", "pairs")

    @property
    def dynamic_axes(self) -> tuple[dict[int, str], ...]:
        return ({0: "nodes"}, {1: "edges"}, {1: "pairs"})

    def head(self, width: SizeLike) -> nn.Module:
        return LinkScores(width, self.outputs)

    def steps_per_epoch(self, batch_size: int) -> int:
        return self._options.steps_per_epoch

    def step_scale(self, batch_size: int) -> StepScale:
        return link_scale(next(self.train_batches(np.random.default_rng(0), batch_size)))

    @property
    def training_graph(self) -> Graph:
        """The features, and the links that training may see."""
        return Graph(self._x, self._edge_index)

    def describe(self) -> dict[str, Any]:
        edges = self._data.edge_index
        loops = int((edges[0] == edges[1]).sum())
        return {
            "task": "link-prediction",
            "data": self._data.name,
            "fingerprint": self.fingerprint,
            "nodes": self._data.nodes,
            "links": self._all_links,
            "message_edges": int(self._edge_index.shape[1]),
            "self_loops_left_out": loops,
            "merged_edges": self._data.merged_edges + int(edges.shape[1]) - loops - 2 * self._all_links,
            "features": self.input_width,
            "samples": {part: len(rows) for part, rows in self.split.items()},
            "unlinked_pairs": {part: int(pairs.shape[1]) for part, pairs in self._unlinked.items()},
            "hits_at": self._hits,
            "normalisation": self._options.normalise,
        }

    def _unlinked_for(self, links: int) -> int:
        return max(1, round(self._options.negatives * links))

    def _held_out_unlinked(self, links: Tensor, seed: int) -> dict[str, Tensor]:
        """Unlinked pairs of each part; validation and test share none. Those of training are for measuring it only."""
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(22,)))
        wanted = {part: self._unlinked_for(len(self.split[part])) for part in ("validation", "test")}
        found = sample_unlinked(links, self._data.nodes, sum(wanted.values()), rng)
        if found.shape[1] < 2:
            raise DataError(
                f"{self._data.name}: all but {found.shape[1]} pairs of its {self._data.nodes} nodes are linked; link prediction "
                "needs pairs that are not, to tell links from."
            )
        # where the graph lacks pairs, both parts have fewer
        share = min(1.0, found.shape[1] / sum(wanted.values()))
        first = min(max(1, round(share * wanted["validation"])), found.shape[1] - 1)
        training = sample_unlinked(
            self._links["train"], self._data.nodes, self._unlinked_for(len(self.split["train"])), rng
        )
        return {"train": training, "validation": found[:, :first], "test": found[:, first:]}

    def _hits_rank(self) -> int:
        fewest = min(int(self._unlinked[part].shape[1]) for part in ("validation", "test"))
        if self._options.hits is None:
            return min(_USUAL_HITS, max(1, fewest // 10))
        if self._options.hits > fewest:
            raise ConfigError(
                f"task options.hits: {self._options.hits} is more than the {fewest} unlinked pairs of the smaller held-out part; "
                "every network would hit all. Take a smaller N or more 'negatives'."
            )
        return self._options.hits

    def _batch(self, edge_index: Tensor, links: Tensor, unlinked: Tensor) -> Batch:
        target = torch.cat([links.new_ones(links.shape[1]), unlinked.new_zeros(unlinked.shape[1])])
        return Batch((self._x, edge_index, torch.cat([links, unlinked], dim=1)), target)


def _read(data: str, options: LinkOptions) -> NodeData:
    if data in _BUILT_IN:
        if options.features != "given":
            raise ConfigError(f"task options: 'features' is for graphs of files, {data!r} is built in.")
        return _BUILT_IN[data]()
    return find_graph(data, _BUILT_IN, labelled=False).finish(
        undirected=options.undirected, features=options.features, edge_features="none"
    )


def _require_undirected(data: NodeData) -> None:
    if data.directed:
        raise DataError(
            f"{data.name}: has edges without their other direction; link prediction scores a pair in either order the same. "
            "Leave out 'task_options.undirected=false', or add the missing directions."
        )


def _features(data: NodeData, edge_index: Tensor, options: LinkOptions) -> Tensor:
    # Degrees that a file reader counts would tell how many links of a node are held out.
    x = one_hot_degrees([edge_index], [data.nodes])[0] if options.features == "degree" else data.x
    return F.normalize(x, p=1, dim=1) if options.normalise == "row" else x
