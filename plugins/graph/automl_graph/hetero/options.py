"""Options of node classification on heterogeneous graphs."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from automl.tasks.splits import check_shares

__all__ = ["HeteroOptions"]


class HeteroOptions(BaseModel):
    """How nodes are split and a heterogeneous graph is prepared."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    split: str | None = Field(
        None,
        description="Which of the splits of a file is used, such as '20' for 'train_20'. Default: the first; without any, or "
        "with 'shares', nodes are split by the two shares.",
    )
    validation: float = Field(0.2, gt=0, lt=1, description="Share of the nodes that the search measures on.")
    test: float = Field(0.2, gt=0, lt=1, description="Share of the nodes kept for the reported front.")
    missing_features: Literal["learned", "degree", "one-hot"] = Field(
        "learned",
        description="What stands for the features of a type that has none: a learned row for each node, the logarithms of its "
        "numbers of edges in each relation, or its one-hot number.",
    )
    normalise: Literal["none", "row", "length"] = Field(
        "none",
        description="'row' scales the features of each node to a sum of absolute values of 1, 'length' to a length of 1.",
    )
    use_reverse: bool = Field(True, description="Add every relation the other way round where it is missing.")
    inductive: bool = Field(
        False,
        description="Training does not see nodes of validation and test, nor their edges; validation does not see those of test.",
    )
    steps_per_epoch: int = Field(
        20, ge=1, description="Training steps in one epoch; each sees the whole graph and all training nodes."
    )

    @field_validator("split", mode="before")
    @classmethod
    def _name_of_a_number(cls, value: object) -> object:
        # what looks like a number on a command line is one, but names of splits are texts
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @model_validator(mode="after")
    def _leave_something_to_train_on(self) -> HeteroOptions:
        check_shares(self.validation, self.test)
        return self
