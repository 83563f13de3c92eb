"""Options of the built-in objectives. Light: no torch, so that jobs are checked without it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["LatencyOptions", "NoOptions"]


class NoOptions(BaseModel):
    """The options of an objective that has none."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class LatencyOptions(BaseModel):
    """Options of ``latency``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    runtime: str = Field("eager", description="name of the runtime that serves the model")
    runtime_options: dict[str, Any] = Field(default_factory=dict, description="options of the runtime itself")
    mode: Literal["predicted", "measured"] = Field(
        "predicted",
        description="during a search: predicted from blocks that are timed once, or every candidate measured; the members "
        "of the front are measured always",
    )
    cache: str | None = Field(
        None, description="folder of the tables of timed blocks; default: $AUTOML_CACHE, or the user's cache folder"
    )
    batch_size: int = Field(1, ge=1, description="samples in one forward")
    threads: int = Field(1, ge=1, description="threads of one forward")
    repeats: int = Field(25, ge=3, description="timed visits to each candidate; their median is reported")
    warmup: int = Field(5, ge=1, description="untimed forwards before the first visit")
    budget: float = Field(2.0, gt=0, description="seconds for each candidate, after which no further round starts")
