"""A job: what the user asks for, validated before anything runs. No torch in here."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from automl.candidates_config import FinalistsConfig, KindName, StitchesConfig, TicketsConfig, with_sparse_size
from automl.errors import ConfigError, ConstraintError, did_you_mean
from automl.objectives.units import quantity_of, read_number
from automl.options import parse_options
from automl.training.config import TrainingConfig
from automl.yaml_file import read_yaml

__all__ = [
    "EXTENDABLE",
    "EvaluationConfig",
    "JobConfig",
    "ObjectiveEntry",
    "PatienceConfig",
    "parse_duration",
    "read_job",
    "resolve_job",
]

ObjectiveEntry: TypeAlias = str | dict[str, dict[str, Any]]
"""An objective name, or one name with options: ``{latency: {runtime: onnxruntime, threads: 1}}``."""
PositiveInt: TypeAlias = Annotated[int, Field(gt=0)]
EXTENDABLE: Final = frozenset({"failures_in_a_row", "patience", "time_budget", "trials"})
"""Settings that may differ when a run is continued: they only say when to stop."""
_DEFAULT_OBJECTIVES: Final[list[ObjectiveEntry]] = ["error", "latency"]
_DURATION: Final = re.compile(r"(?:(?P<h>\d+(?:\.\d+)?)h)?(?:(?P<m>\d+(?:\.\d+)?)m)?(?:(?P<s>\d+(?:\.\d+)?)s)?")
_SECONDS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0}


def parse_duration(text: str | float) -> float:
    """Returns seconds for ``90``, ``"90s"``, ``"10m"`` or ``"1h30m"``.

    Raises:
        ValueError: the text is no positive duration.
    """
    if isinstance(text, str):
        match = _DURATION.fullmatch(text.strip())
        if match and any(match.groups()):
            seconds = sum(float(number) * _SECONDS[unit] for unit, number in match.groupdict().items() if number)
        else:
            try:
                seconds = float(text)
            except ValueError:
                raise ValueError(f"{text!r} is no duration; write it like 90s, 10m or 1h30m") from None
    else:
        seconds = float(text)
    if not 0 < seconds < float("inf"):
        raise ValueError(f"a duration must be positive, got {text!r}")
    return seconds


class EvaluationConfig(BaseModel):
    """How one candidate is measured."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    batch_size: PositiveInt = Field(512, description="samples per forward pass when quality is measured")
    validation_samples: PositiveInt | None = Field(None, description="use only the first so many validation samples")
    calibration_samples: PositiveInt = Field(512, description="training samples for batch-norm statistics")
    calibration_batch_size: PositiveInt = Field(128, description="samples per calibration batch")
    group: PositiveInt = Field(
        8, description="candidates measured together; latency repeats are interleaved within a group"
    )
    racing: bool | None = Field(
        None,
        description="stop candidates that are dominated with confidence after a part of the validation samples; left "
        "out: where there are at least 1000 of them",
    )
    confidence: Annotated[float, Field(ge=0.5, lt=1)] = Field(
        0.999, description="lowest probability that racing does not stop a candidate of the front"
    )
    sharing_memory: Annotated[int, Field(ge=0)] = Field(
        512, description="MB of activations kept for candidates with common first layers; 0 measures each alone"
    )
    anchors: PositiveInt = Field(
        4, description="random subnetworks measured before the search, beside smallest and largest"
    )


class PatienceConfig(BaseModel):
    """When a search whose front no longer grows ends."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    gain: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.001,
        description="smallest share of the hypervolume that the last trials must have added; 0.1% is fine",
        json_schema_extra={"anyOf": [{"type": "number"}, {"type": "string"}]},
    )
    trials: PositiveInt = Field(100, description="over how many of the last trials that is judged")

    @field_validator("gain", mode="before")
    @classmethod
    def _share(cls, value: Any) -> Any:
        if isinstance(value, str) and value.strip().endswith("%"):
            try:
                return float(value.strip()[:-1]) / 100
            except ValueError:
                raise ValueError(f"{value!r} is no share; write it like 0.001 or 0.1%") from None
        return value


class JobConfig(BaseModel):
    """Everything that decides what a job does; the same job with the same seed gives the same history."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    space: str = Field("image/tiny", description="installed search space, or a YAML file")
    task: str = Field("auto", description="installed task; 'auto': the one that fits the space and recognises the data")
    data: str | None = Field(None, description="built-in data or a path; left out: the task's own default")
    task_options: dict[str, Any] = Field(default_factory=dict, description="options of the task")
    objectives: Annotated[list[ObjectiveEntry], Field(min_length=1)] = Field(
        default_factory=lambda: list(_DEFAULT_OBJECTIVES), description="quantities to minimise"
    )
    constraints: list[str] = Field(
        default_factory=list, description="bounds such as 'latency<=2ms' or '10k<=params<=100k'"
    )
    strategy: str = Field("sandwich", description="how the supernet is trained")
    strategy_options: dict[str, Any] = Field(default_factory=dict, description="options of the strategy")
    compressor: str | None = Field(
        None,
        description="prune the whole supernet while it is trained, such as 'supertickets'; left out: keep it dense",
    )
    compressor_options: dict[str, Any] = Field(default_factory=dict, description="options of the compressor")
    training: TrainingConfig = Field(default_factory=TrainingConfig, description="optimiser, schedule, epochs")
    searcher: str = Field("portfolio", description="search algorithm; 'optuna:<SamplerName>' takes one of Optuna's")
    searcher_options: dict[str, Any] = Field(default_factory=dict, description="options of the searcher")
    trials: PositiveInt = Field(200, description="number of architectures to measure")
    time_budget: float | None = Field(
        None,
        description="seconds after which no new candidates start; 10m and 1h30m are fine",
        json_schema_extra={"anyOf": [{"type": "number"}, {"type": "string"}, {"type": "null"}]},
    )
    memory_limit: PositiveInt | None = Field(
        None,
        description="bytes that a training step may take, such as 2GB or 512MiB; families predicted to take more are left "
        "out, and a job without any other is refused; left out: the memory that is available, for large data",
        json_schema_extra={"anyOf": [{"type": "integer"}, {"type": "string"}, {"type": "null"}]},
    )
    patience: PatienceConfig | None = Field(
        None, description="end the search when its front no longer grows; left out: only the budgets end it"
    )
    failures_in_a_row: PositiveInt = Field(50, description="consecutive failures after which the search gives up")
    warm_start: list[str] = Field(
        default_factory=list,
        description="what is measured first: earlier runs by name or path, 'ends', 'stratified', 'stratified:N'",
    )
    evaluation: EvaluationConfig = Field(default_factory=EvaluationConfig, description="how one candidate is measured")
    candidates: Annotated[list[KindName], Field(min_length=1)] = Field(
        default_factory=lambda: list[KindName](["subnets"]),
        description="kinds of network in the front: 'subnets' of the search, 'stitches' between some of them, pruned "
        "'tickets', 'finalists' that are trained alone",
    )
    stitches: StitchesConfig = Field(default_factory=StitchesConfig, description="how candidates are stitched")
    tickets: TicketsConfig = Field(default_factory=TicketsConfig, description="how candidates are pruned")
    finalists: FinalistsConfig = Field(default_factory=FinalistsConfig, description="how candidates are trained alone")
    storage: str | None = Field(None, description="Optuna storage URL; left out: a journal file in the run folder")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="where the supernet is trained")
    seed: Annotated[int, Field(ge=0, lt=2**32)] = Field(0, description="seed of everything")

    @model_validator(mode="before")
    @classmethod
    def _sparse_size(cls, value: Any) -> Any:
        return with_sparse_size(value, _DEFAULT_OBJECTIVES) if isinstance(value, Mapping) else value

    @field_validator("candidates")
    @classmethod
    def _subnets_first(cls, value: list[KindName]) -> list[KindName]:
        if "subnets" not in value:
            raise ValueError("stitches, tickets and finalists are made of subnets: name 'subnets', too")
        return [kind for kind in get_args(KindName) if kind in value]

    @field_validator("time_budget", mode="before")
    @classmethod
    def _duration(cls, value: Any) -> Any:
        return parse_duration(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else value

    @field_validator("memory_limit", mode="before")
    @classmethod
    def _bytes(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return round(read_number(value, quantity_of("memory", "B"), where="a size"))
        except ConstraintError as error:
            raise ValueError(str(error).removeprefix("a size: ")) from None

    @field_validator("objectives")
    @classmethod
    def _one_name_each(cls, value: list[ObjectiveEntry]) -> list[ObjectiveEntry]:
        for entry in value:
            if isinstance(entry, dict) and len(entry) != 1:
                raise ValueError("an entry with options holds exactly one name, such as {latency: {threads: 1}}")
        names = [objective_name(entry) for entry in value]
        repeated = sorted({n for n in names if names.count(n) > 1})
        if repeated:
            raise ValueError(f"{', '.join(repeated)} is named twice")
        return value

    @property
    def objective_names(self) -> list[str]:
        """Names of the objectives in order."""
        return [objective_name(entry) for entry in self.objectives]

    def to_dict(self) -> dict[str, Any]:
        """Returns all settings as plain values."""
        return self.model_dump(mode="json")

    def default_name(self) -> str:
        """Returns a name that tells jobs apart and is the same for the same job."""
        settings = {k: v for k, v in self.to_dict().items() if k not in EXTENDABLE}
        if self.memory_limit is None:
            del settings["memory_limit"]
        if self.compressor is None:  # jobs from before there were compressors keep their names
            settings = {k: v for k, v in settings.items() if k not in ("compressor", "compressor_options")}
        if self.candidates == ["subnets"]:  # so do those from before there were other candidates
            settings = {k: v for k, v in settings.items() if k not in ("candidates", "stitches", "tickets")}
        if "finalists" not in self.candidates:  # and those from before there were finalists
            del settings["finalists"]
        digest = hashlib.blake2b(json.dumps(settings, sort_keys=True).encode(), digest_size=3).hexdigest()
        parts = (Path(self.space).stem if self.space.endswith((".yaml", ".yml")) else self.space, self.data or "")
        words = [
            re.sub(r"[^A-Za-z0-9]+", "-", Path(p).stem if "/" in p and i else p).strip("-") for i, p in enumerate(parts)
        ]
        return "-".join([*(w for w in words if w), digest])


def objective_name(entry: ObjectiveEntry) -> str:
    """Returns the name of an entry of ``objectives``."""
    return entry if isinstance(entry, str) else next(iter(entry))


def objective_options(entry: ObjectiveEntry) -> dict[str, Any]:
    """Returns the options of an entry of ``objectives``."""
    return {} if isinstance(entry, str) else dict(next(iter(entry.values())) or {})


def read_job(path: Path) -> JobConfig:
    """Reads a job file.

    Raises:
        ConfigError: it is unreadable or malformed; names file, line and key, and the nearest valid key.
    """
    return resolve_job(path)


def resolve_job(
    path: Path | None = None, *, settings: Mapping[str, Any] | None = None, assignments: Sequence[str] = ()
) -> JobConfig:
    """Joins a job file, command-line settings and ``key=value`` assignments, the later ones winning.

    Args:
        path: job file; ``None`` starts from the defaults.
        settings: top-level keys to replace.
        assignments: texts such as ``training.epochs=20``; the value is read as YAML.

    Raises:
        ConfigError: something is malformed; names where it was written and the nearest valid key.
    """
    data: dict[str, Any] = {}
    where: Any = "job"
    if path is not None:
        file = read_yaml(path)
        if file.data is not None and not isinstance(file.data, dict):
            raise ConfigError(f"{path}: a job is a mapping of settings, got {type(file.data).__name__}.")
        data, where = dict(file.data or {}), file.where
    if assignments or settings:
        parse_options(
            JobConfig, data, where
        )  # mistakes of the file are told with their line before others are laid over
        where = "job"
    data.update(settings or {})
    for assignment in assignments:
        _assign(data, assignment)
    return parse_options(JobConfig, data, where)


def _assign(data: dict[str, Any], assignment: str) -> None:
    key, equals, text = assignment.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        raise ConfigError(f"--set {assignment}: write it as key=value, such as training.epochs=20.")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {assignment}: the value is not valid YAML: {error}.") from error
    if parts[0] not in JobConfig.model_fields:
        raise ConfigError(
            f"--set {assignment}: unknown setting {parts[0]!r}.{did_you_mean(parts[0], JobConfig.model_fields)}"
        )
    level = data
    for part in parts[:-1]:
        inner = level.get(part)
        level[part] = dict(inner) if isinstance(inner, Mapping) else {}
        level = level[part]
    level[parts[-1]] = value
