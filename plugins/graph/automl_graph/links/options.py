"""Options of link prediction."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from automl.tasks.splits import check_shares

__all__ = ["LinkOptions"]


class LinkOptions(BaseModel):
    """How edges are divided, and against what they are measured."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    validation: float = Field(0.1, gt=0, lt=1, description="Share of the edges that the search measures on.")
    test: float = Field(0.2, gt=0, lt=1, description="Share of the edges kept for the reported front.")
    hits: int | None = Field(
        None,
        ge=1,
        description="N of Hits@N. Default: 20, or a tenth of the unlinked pairs of the smaller held-out part if that is less.",
    )
    negatives: float = Field(
        1.0, gt=0, description="Unlinked pairs for each edge, in training steps as well as in validation and test."
    )
    disjoint: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Share of the training edges, drawn anew in each step, that is asked for and taken out of the graph that "
        "messages pass along. 0: all are asked for, and messages pass along them.",
    )
    steps_per_epoch: int = Field(
        20, ge=1, description="Training steps in one epoch; each sees the whole training graph."
    )
    features: Literal["given", "degree"] = Field(
        "given",
        description="'degree': the degree of each node among training edges, one-hot, instead of the features of a file.",
    )
    undirected: bool = Field(
        True,
        description="Take an edge of a file as a link in both directions. false: refuse files that lack some directions.",
    )
    normalise: Literal["none", "row"] = Field(
        "none", description="'row' scales the features of each node to a sum of absolute values of 1."
    )

    @model_validator(mode="after")
    def _leave_something_to_train_on(self) -> LinkOptions:
        check_shares(self.validation, self.test)
        return self
