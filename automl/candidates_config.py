"""Which kinds of network compete in one front, and how those that come after the search are made. No torch in here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "SEES_ZEROS",
    "STITCH_TRAINING",
    "FinalistsConfig",
    "KindName",
    "StitchesConfig",
    "TicketsConfig",
    "with_sparse_size",
]

KindName: TypeAlias = Literal["subnets", "stitches", "tickets", "finalists"]
PositiveInt: TypeAlias = Annotated[int, Field(gt=0)]
SEES_ZEROS: Final = ("nonzero", "sparse-size")
"""Objectives in which a network with masked weights can differ from its dense base, beside quality."""
STITCH_TRAINING: Final[Mapping[str, Any]] = {
    # The anchors are trained: a lower learning rate than one that starts from nothing, and no smoothing of the targets.
    "epochs": 30,
    "learning_rate": 0.005,
    "warmup_epochs": 1.0,
    "label_smoothing": 0.0,
    # The first loss may be that of a trained anchor; those of stitches are many times as large.
    "divergence_factor": 1e3,
}
"""What the joint training of stitched networks sets, for a user to overrule."""


class TicketsConfig(BaseModel):
    """Which members of the searched front are pruned, and how."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    members: PositiveInt = Field(3, description="members of the searched front that are pruned, spread over it by cost")
    sparsities: list[Annotated[float, Field(gt=0, lt=1)]] = Field(
        default_factory=lambda: [0.5, 0.8],
        description="shares of zeros, one ticket of each member for each; empty: what the schedule's options say",
    )
    schedule: str = Field("gradual", description="compressor that prunes, such as 'gradual' or 'one-shot'")
    options: dict[str, Any] = Field(
        default_factory=dict, description="its options, such as {granularity: channel}, which takes channels out"
    )
    training: dict[str, Any] = Field(
        default_factory=dict,
        description="settings of the training that differ from those of the run; at most 20 epochs and a quarter of the "
        "learning rate if left out",
    )


class StitchesConfig(BaseModel):
    """Which members of the searched front are stitched, and how."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    anchors: Annotated[int, Field(ge=2)] = Field(
        2, description="members of the searched front that are stitched, spread over it by cost"
    )
    trials: PositiveInt = Field(100, description="stitched networks that are measured, spread over all by cost")
    options: dict[str, Any] = Field(
        default_factory=dict, description="options of a stitched space, such as {kernel: 3, last_stage: true}"
    )
    training: dict[str, Any] = Field(
        default_factory=dict, description="settings of the joint training; at most 10 epochs if left out"
    )


class FinalistsConfig(BaseModel):
    """Which architectures of the search are trained alone, and how."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    members: PositiveInt = Field(5, description="architectures that are trained alone to the end")
    entrants: PositiveInt | None = Field(
        None,
        description="architectures that begin: the best with each family, then members of the searched front, spread over it "
        "by cost. Some go on after more and more epochs, until 'members' are left. Left out: one for each family, at least "
        "'members', and with new weights also the largest with each family, in few blocks and in many",
    )
    weights: Literal["inherited", "new"] | None = Field(
        None,
        description="start from the weights of the supernet, or from new ones; left out: what suits the task, mostly 'inherited'",
    )
    training: dict[str, Any] = Field(
        default_factory=dict,
        description="settings of the training that differ from those of the run; if left out, inherited weights have "
        "at most 20 epochs and a quarter of the learning rate, new ones half of it or what suits the task",
    )
    alternatives: list[dict[str, Any]] | None = Field(
        None,
        description="further trainings, by the settings that differ; each is tried for the better half of what was trained "
        "alone. Left out: those that suit the task with new weights, often none",
    )


def with_sparse_size(settings: Mapping[str, Any], default: list[Any]) -> dict[str, Any]:
    """Returns the settings of a job, with the objective ``sparse-size`` if tickets would else be invisible.

    A masked network has the cost of its dense base in everything but what its file may leave out. Without an objective that
    sees zeros, it could only ever be on a front for a smaller error. Channels that are taken out show in every cost.

    Args:
        settings: as the user wrote them, not validated.
        default: objectives of a job that names none.
    """
    kinds, tickets = settings.get("candidates"), settings.get("tickets")
    objectives = settings.get("objectives", default)
    if not isinstance(kinds, list) or "tickets" not in kinds or not isinstance(objectives, list):
        return dict(settings)
    options = tickets.get("options") if isinstance(tickets, Mapping) else None
    if isinstance(options, Mapping) and options.get("granularity") == "channel":
        return dict(settings)
    names = {name for entry in objectives for name in ([entry] if isinstance(entry, str) else entry)}
    return dict(settings) if names & set(SEES_ZEROS) else {**settings, "objectives": [*objectives, "sparse-size"]}
