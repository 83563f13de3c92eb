"""Top-N recommendation from implicit feedback."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Final, final

import numpy as np
import numpy.typing as npt
import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn

from automl.errors import DataError, did_you_mean
from automl.options import parse_options
from automl.space import SizeLike
from automl.tasks import Batch, StepScale, Task, check_split
from automl.tasks.classification import evaluation_mode
from automl.tasks.splits import PARTS, Part, check_shares
from automl_graph.recommend.interactions import (
    BLOCK_MODEL,
    Interactions,
    block_model,
    holds_interactions,
    read_interactions,
)
from automl_graph.recommend.loss import bpr_loss, expected_bpr_loss
from automl_graph.recommend.ranking import RankingTotals
from automl_graph.recommend.sampling import TripleSampler
from automl_graph.recommend.scale import interaction_scale
from automl_graph.recommend.table import ItemScores

__all__ = ["Recommendation", "RecommendationOptions"]

_MASKED_BEFORE: Final[Mapping[Part, tuple[Part, ...]]] = {
    "train": (),
    "validation": ("train",),
    "test": ("train", "validation"),
}


class RecommendationOptions(BaseModel):
    """How interactions are read, split, sampled and ranked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_rating: float | None = Field(None, description="Keep interactions with at least this rating; default: all.")
    validation: float = Field(0.1, gt=0, lt=1, description="Share of the interactions that the search measures on.")
    test: float = Field(0.1, gt=0, lt=1, description="Share of the interactions kept for the reported front.")
    given_split: bool = Field(
        True,
        description="Where a file has a part for the test, take it and the share for validation out of the rest. false: divide "
        "all interactions anew.",
    )
    length: int = Field(10, ge=1, description="Number N of items that are recommended and rated.")
    negatives: int = Field(1, ge=1, description="Items not taken that each taken one is compared with in training.")
    steps_per_epoch: int | None = Field(
        None, ge=1, description="Training steps in one epoch; default: training interactions / batch size."
    )

    @model_validator(mode="after")
    def _leave_something_to_train_on(self) -> RecommendationOptions:
        check_shares(self.validation, self.test)
        return self


@final
class Recommendation(Task):
    """Ranks items for users who have taken others.

    A sample is an interaction. Interactions are divided at random; those of validation and test whose user or item does not
    occur in training are left out. The graph holds the training interactions only. One row of an output is a user with the
    scores of all items. Metrics see the items that a user has not taken before: validation items are masked in the test.

    Args:
        data: all interactions.
        split: interactions of each part.
        options: number of recommended items and the like.

    Example:
        >>> task = Recommendation.load("user-item-blocks", seed=0)
        >>> task.outputs, task.input_width
        (199, 497)
    """

    options_model: ClassVar[type[BaseModel]] = RecommendationOptions
    signal: ClassVar[str] = "bipartite"

    def __init__(self, data: Interactions, split: Mapping[str, list[int]], options: RecommendationOptions) -> None:
        self.split = check_split(split, len(data.users), where=f"{data.name}: split")
        self._data: Final = data
        self._options: Final = options
        train = np.array(self.split["train"])
        self._user_ids: Final = np.unique(data.users[train])
        self._item_ids: Final = np.unique(data.items[train])
        known = {part: self._numbered(data, self.split[part]) for part in PARTS}
        for part in PARTS:
            if any((numbers < 0).any() for numbers in known[part]):
                raise DataError(f"{data.name}: split: part {part!r} has users or items that part 'train' lacks.")
        self._known: Final = known
        self.outputs = len(self._item_ids)
        self.input_width = len(self._user_ids) + self.outputs
        self.sample_shape = (1,)
        self.fingerprint = data.fingerprint
        users, items = known["train"]
        forward = torch.from_numpy(np.stack([users, items + len(self._user_ids)]))
        self._edge_index = torch.cat([forward, forward.flip(0)], dim=1)
        self._sampler: Final = TripleSampler(users, items, self.outputs)
        self._device: torch.device | str = "cpu"

    @classmethod
    def load(
        cls,
        data: str,
        *,
        seed: int,
        split: Mapping[str, list[int]] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Recommendation:
        chosen = parse_options(RecommendationOptions, options or {}, where="task options")
        if data == BLOCK_MODEL:
            interactions = block_model()
        elif Path(data).suffix:
            interactions = read_interactions(Path(data), min_rating=chosen.min_rating)
        else:
            raise DataError(
                f"{data}: no such data; expected a file or {BLOCK_MODEL!r}.{did_you_mean(data, [BLOCK_MODEL])}"
            )
        return cls(interactions, _split(interactions, seed, chosen) if split is None else split, chosen)

    @classmethod
    def recognises(cls, data: str) -> bool:
        return data == BLOCK_MODEL or holds_interactions(Path(data))

    @property
    def user_count(self) -> int:
        """Number of users, the first nodes of the graph; items are the others."""
        return len(self._user_ids)

    @property
    def edge_index(self) -> Tensor:
        """Both directions of every training interaction, ``(2, edges)``."""
        return self._edge_index

    def to(self, device: torch.device | str, dtype: torch.dtype = torch.float32) -> None:
        self._device = device
        self._edge_index = self._edge_index.to(device)

    def train_batches(self, rng: np.random.Generator, batch_size: int) -> Iterator[Batch]:
        for _ in range(self.steps_per_epoch(batch_size)):
            users, items = self._sampler.draw(rng, batch_size, self._options.negatives)
            yield Batch((self._tensor(users), self._edge_index), self._tensor(items))

    def batches(self, part: Part, batch_size: int, limit: int | None = None) -> Iterator[Batch]:
        users, items = (numbers[:limit] for numbers in self._known[part])
        everyone = np.unique(users)
        for start in range(0, len(everyone), batch_size):
            rows = everyone[start : start + batch_size]
            relevance = np.zeros((len(rows), self.outputs), dtype=np.int8)
            _mark(relevance, rows, users, items, 1)
            for earlier in _MASKED_BEFORE[part]:
                _mark(relevance, rows, *self._known[earlier], -1)
            yield Batch((self._tensor(rows), self._edge_index), self._tensor(relevance))

    def calibration_batches(self, seed: int, samples: int, batch_size: int) -> Iterator[Batch]:
        rng = np.random.default_rng(seed)
        for start in range(0, samples, batch_size):
            users, items = self._sampler.draw(rng, min(batch_size, samples - start), self._options.negatives)
            yield Batch((self._tensor(users), self._edge_index), self._tensor(items))

    def loss(self, outputs: Tensor, batch: Batch, label_smoothing: float = 0.0) -> Tensor:
        """Returns the BPR loss; ``label_smoothing`` has no meaning for it. Batches to measure on have every pair in it."""
        if batch.target.dtype == torch.int8:
            return expected_bpr_loss(outputs, batch.target)
        scores = outputs.gather(1, batch.target)
        return bpr_loss(scores[:, :1], scores[:, 1:])

    def evaluate(self, model: nn.Module, part: Part, batch_size: int, limit: int | None = None) -> dict[str, float]:
        with evaluation_mode(model):
            return self.score((model(*batch.inputs), batch) for batch in self.batches(part, batch_size, limit))

    def score(self, answers: Iterable[tuple[Tensor, Batch]]) -> dict[str, float]:
        totals = RankingTotals(self._options.length)
        losses, weights = [], []
        with torch.no_grad():
            for outputs, batch in answers:
                scores = outputs.float()
                if not bool(torch.isfinite(scores).all()):
                    return dict.fromkeys((*RankingTotals(1).compute(), "loss"), float("nan"))
                totals.update(scores, batch.target)
                losses.append(float(expected_bpr_loss(scores, batch.target)))
                weights.append(int((batch.target == 1).sum()))
        metrics = totals.compute()
        return {**metrics, "loss": float(np.average(losses, weights=weights)) if losses else float("nan")}

    def example_inputs(self, batch_size: int) -> tuple[Tensor, ...]:
        return self._tensor(np.arange(batch_size) % self.user_count), self._edge_index

    @property
    def input_names(self) -> tuple[str, ...]:
        return ("users", "edge_index")

    @property
    def dynamic_axes(self) -> tuple[dict[int, str], ...]:
        return ({0: "users"}, {1: "edges"})

    def head(self, width: SizeLike) -> nn.Module:
        return ItemScores(self.outputs)

    def steps_per_epoch(self, batch_size: int) -> int:
        return self._options.steps_per_epoch or max(1, len(self.split["train"]) // batch_size)

    def step_scale(self, batch_size: int) -> StepScale:
        return interaction_scale(self, batch_size, self._smaller)

    def describe(self) -> dict[str, Any]:
        return {
            "task": "recommendation",
            "data": self._data.name,
            "fingerprint": self.fingerprint,
            "users": self._user_ids.tolist(),
            "items": self._item_ids.tolist(),
            "samples": {part: len(rows) for part, rows in self.split.items()},
            "recommended": self._options.length,
        }

    def statistics(self) -> dict[str, Any]:
        users, items = len(self._user_ids), len(self._item_ids)
        interactions = sum(len(rows) for rows in self.split.values())
        return {
            "users": users,
            "items": items,
            "interactions": interactions,
            "density": interactions / (users * items),
            **super().statistics(),
        }

    def _smaller(self, interactions: Tensor) -> Recommendation:
        """The task of some training interactions ``(2, ...)``. The first two are also those held out, which no step sees."""
        users, items = torch.cat([interactions, interactions[:, :2]], dim=1).numpy()
        count = interactions.shape[1]
        split = {"train": [*range(count)], "validation": [count], "test": [count + 1]}
        return Recommendation(Interactions(self._data.name, users, items), split, self._options)

    def _numbered(self, data: Interactions, rows: list[int]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        return _numbers(data.users[rows], self._user_ids), _numbers(data.items[rows], self._item_ids)

    def _tensor(self, array: npt.NDArray[Any]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self._device)


def _split(data: Interactions, seed: int, options: RecommendationOptions) -> dict[str, list[int]]:
    order = np.random.default_rng(seed).permutation(len(data.users))
    validation = max(1, round(options.validation * len(order)))
    if data.test is not None and options.given_split:
        in_test, order = order[data.test[order]], order[~data.test[order]]
        parts = {"validation": order[:validation], "test": in_test, "train": order[validation:]}
    else:
        after = validation + max(1, round(options.test * len(order)))
        parts = {"validation": order[:validation], "test": order[validation:after], "train": order[after:]}
    train = parts["train"]
    known = np.isin(data.users, data.users[train]) & np.isin(data.items, data.items[train])
    for part in ("validation", "test"):
        if not known[parts[part]].any():
            raise DataError(
                f"{data.name}: none of the {len(parts[part])} interactions of {part} has a user and an item that occur in "
                "training as well, so nothing can be measured. Give more interactions of each user and item."
            )
    return {part: sorted(rows[known[rows]].tolist()) for part, rows in parts.items()}


def _numbers(identifiers: npt.NDArray[Any], known: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Positions among the known identifiers; -1 for others."""
    position = np.searchsorted(known, identifiers).clip(max=len(known) - 1)
    return np.where(known[position] == identifiers, position, -1).astype(np.int64)


def _mark(
    relevance: npt.NDArray[np.int8],
    rows: npt.NDArray[np.int64],
    users: npt.NDArray[np.int64],
    items: npt.NDArray[np.int64],
    value: int,
) -> None:
    """Writes a value for those interactions whose users are rows; both are sorted numbers of users."""
    inside = (users >= rows[0]) & (users <= rows[-1]) & np.isin(users, rows)
    relevance[np.searchsorted(rows, users[inside]), items[inside]] = value
