"""Options of node classification."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["NodeOptions"]


class NodeOptions(BaseModel):
    """How nodes are split and a graph is prepared."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    labels_per_class: int | None = Field(
        None,
        ge=0,
        description="Training nodes of each class; all others are for validation and test, in proportion to their shares. "
        "0: train on what the two shares leave. Default: 20 for digits-knn, 4 for karate, 0 for files.",
    )
    validation: float = Field(0.2, gt=0, lt=1, description="Share of the nodes that the search measures on.")
    test: float = Field(0.2, gt=0, lt=1, description="Share of the nodes kept for the reported front.")
    steps_per_epoch: int = Field(
        20, ge=1, description="Training steps in one epoch; each sees the whole graph and all training nodes."
    )
    undirected: bool = Field(
        True, description="Add the missing direction of every edge of a file, and merge double edges."
    )
    normalise: Literal["none", "row"] = Field(
        "none", description="'row' scales the features of each node to a sum of absolute values of 1."
    )

    @model_validator(mode="after")
    def _leave_something_to_train_on(self) -> NodeOptions:
        if self.validation + self.test >= 1:
            raise ValueError(
                f"validation {self.validation:g} and test {self.test:g} leave nothing to train on; "
                f"their sum must stay below 1"
            )
        return self
