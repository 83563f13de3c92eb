"""Options of node classification."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from automl.tasks.splits import check_shares

__all__ = ["NodeOptions", "SamplingOptions"]


class SamplingOptions(BaseModel):
    """How mini-batches of nodes are cut out of a graph."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fanout: list[int] = Field(
        [10, 5],
        min_length=1,
        description="Neighbours that are drawn for each node, hop after hop from the nodes that are asked for; -1 takes all. One "
        "hop for each layer that passes messages.",
    )
    batch: int = Field(512, ge=1, description="Training nodes in one step.")

    @field_validator("fanout")
    @classmethod
    def _whole_or_positive(cls, value: list[int]) -> list[int]:
        for number in value:
            if number < 1 and number != -1:
                raise ValueError(f"{number} neighbours cannot be drawn; expected a number from 1, or -1 for all")
        return value


class NodeOptions(BaseModel):
    """How nodes are split and a graph is prepared."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    labels_per_class: int | None = Field(
        None,
        ge=0,
        description="Training nodes of each class; all others are for validation and test, in proportion to their shares. "
        "0: train on what the two shares leave. Default: the split that comes with the data; else 20 for "
        "digits-knn, 4 for karate, 0 for other files.",
    )
    validation: float = Field(0.2, gt=0, lt=1, description="Share of the nodes that the search measures on.")
    test: float = Field(0.2, gt=0, lt=1, description="Share of the nodes kept for the reported front.")
    steps_per_epoch: int = Field(
        20, ge=1, description="Training steps in one epoch; each sees the whole graph and all training nodes."
    )
    inductive: bool = Field(
        False,
        description="Training does not see nodes of validation and test, nor their edges; validation does not see those of test.",
    )
    sampling: SamplingOptions | None = Field(
        None,
        description="Train on mini-batches of nodes with sampled neighbours, such as {fanout: [10, 5], batch: 512}; an epoch is "
        "one pass over the training nodes. Measurements see all neighbours. Default: each step sees the whole graph.",
    )
    fixed_split: int | None = Field(
        None,
        ge=0,
        description="Which of the splits that come with the data is used, counted from 0. Default: the usual one, such as the "
        "public split of Planetoid graphs, or the first.",
    )
    features: Literal["given", "degree"] = Field(
        "given", description="'degree': the degree of each node, one-hot, instead of the features of a file."
    )
    edge_features: Literal["given", "none"] = Field(
        "given", description="'none' leaves features of edges out, for networks that see only which nodes are joined."
    )
    undirected: bool = Field(True, description="Add the missing direction of every edge of a file.")
    normalise: Literal["none", "row"] = Field(
        "none", description="'row' scales the features of each node to a sum of absolute values of 1."
    )

    @model_validator(mode="after")
    def _leave_something_to_train_on(self) -> NodeOptions:
        check_shares(self.validation, self.test)
        if self.sampling is not None and "steps_per_epoch" in self.model_fields_set:
            raise ValueError(
                "steps_per_epoch and sampling exclude each other; with sampling an epoch is one pass over the training nodes"
            )
        if self.inductive and self.features == "degree":
            raise ValueError(
                "features 'degree' counts edges that inductive training must not know; give the graph features of its own"
            )
        if self.fixed_split is not None and self.labels_per_class is not None:
            raise ValueError("fixed_split and labels_per_class are two ways to split; give one of them")
        return self
