"""Options of tasks on whole graphs."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from automl.tasks.splits import check_shares

__all__ = ["GraphOptions"]


class GraphOptions(BaseModel):
    """How graphs are split and prepared, and how the training part is made harder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    validation: float = Field(0.2, gt=0, lt=1, description="Share of the graphs that the search measures on.")
    test: float = Field(0.2, gt=0, lt=1, description="Share of the graphs kept for the reported front.")
    target: int | str | None = Field(
        None,
        description="Which column of 'y', by number from 0 or by its name in 'tasks', where a file has several; graphs without a "
        "value in it are left out.",
    )
    fold: int | None = Field(
        None,
        ge=0,
        le=9,
        description="Ten-fold cross-validation: test on this fold, validate on the next, train on the other eight, in place of "
        "the two shares. Folds are those of the file, or drawn once and for all seeds alike.",
    )
    normalise: Literal["auto", "none", "standard"] = Field(
        "auto",
        description="'standard' gives each feature mean 0 and deviation 1 over the training part; 'auto' does so for features "
        "that a file gives as numbers, and not for one-hot labels and degrees.",
    )
    edge_features: Literal["given", "none"] = Field(
        "given", description="'none' leaves features of edges out, for networks that see only which nodes are joined."
    )
    noise: float = Field(
        0.0, ge=0, lt=1, description="Share of the edges of each training graph that is moved to random places."
    )
    noise_on_test: bool = Field(False, description="Move edges of the validation and test graphs as well.")
    imbalance: float = Field(
        1.0,
        ge=1,
        description="How many times more graphs the largest class of the training part has than the smallest.",
    )
    few_shot: int | None = Field(
        None, ge=1, description="Number of training graphs of each class; the others are left out."
    )

    @model_validator(mode="after")
    def _leave_something_to_train_on(self) -> GraphOptions:
        check_shares(self.validation, self.test)
        return self
