"""The components of a job, looked up and built before anything is written or trained."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from automl.errors import ConfigError, did_you_mean
from automl.host import Host
from automl.host import Task as TaskComponent
from automl.job_config import JobConfig, objective_name, objective_options
from automl.objectives.build import build_objective
from automl.objectives.constraints import Constraint, parse_constraints
from automl.objectives.objective import Objective
from automl.search.searcher import Searcher
from automl.space import SearchSpace
from automl.supernet import SpaceDefinition, load_skeleton
from automl.tasks.task import Task
from automl.training.compressor import Compressor
from automl.training.strategy import Strategy

__all__ = ["JobParts", "build_component", "resolve_parts"]

Built = TypeVar("Built")


@dataclass(frozen=True)
class JobParts:
    """What a job is made of.

    Attributes:
        skeleton: the validated search space.
        task_name: name of the task's component.
        task: class of the task.
        data: the data to load.
        objectives: what is minimised, in the order of the job.
        limits: further quantities that only constraints ask for.
        constraints: the parsed constraints.
        strategy: how the supernet is trained.
        searcher: builds the searcher for a space.
        compressor: prunes the supernet while it is trained, or None.
    """

    skeleton: SpaceDefinition
    task_name: str
    task: type[Task]
    data: str
    objectives: tuple[Objective, ...]
    limits: tuple[Objective, ...]
    constraints: tuple[Constraint, ...]
    strategy: Strategy
    searcher: Callable[[SearchSpace], Searcher]
    compressor: Compressor | None

    @property
    def quantities(self) -> tuple[Objective, ...]:
        """Everything that is measured of a candidate."""
        return (*self.objectives, *self.limits)


def resolve_parts(job: JobConfig, host: Host) -> JobParts:
    """Looks up and builds all components of a job; loads no data.

    Raises:
        UserError: a name is unknown, an option is wrong, or parts do not fit each other.
    """
    skeleton = load_skeleton(job.space, host)
    task = _task(job, skeleton, host)
    units = {name: getattr(component, "unit", "") for name, component in host.components("objective").items()}
    constraints = parse_constraints(job.constraints, units)
    objectives = [build_objective(host, objective_name(e), objective_options(e)) for e in job.objectives]
    named = {objective.name for objective in objectives}
    limits = {
        c.objective: build_objective(host, c.objective, where="constraints")
        for c in constraints
        if c.objective not in named
    }
    return JobParts(
        skeleton=skeleton,
        task_name=task.name,
        task=task.load(),
        data=job.data if job.data is not None else task.default_data,
        objectives=tuple(objectives),
        limits=tuple(limits.values()),
        constraints=tuple(constraints),
        strategy=_build(
            host.find("strategy", job.strategy, where="strategy").load(), job.strategy_options, "strategy_options"
        ),
        searcher=_searcher(job, len(objectives), host),
        compressor=_compressor(job, host),
    )


def build_component(host: Host, kind: str, name: str, options: Mapping[str, Any], where: str) -> Any:
    """Returns a component built with options that a user wrote.

    Raises:
        UnknownNameError: nothing is called so.
        ConfigError: an option is unknown or wrong; names ``where``.
    """
    return _build(host.find(kind, name, where=where).load(), options, where)


def _compressor(job: JobConfig, host: Host) -> Compressor | None:
    if job.compressor is None:
        if job.compressor_options:
            raise ConfigError(
                "compressor_options: there are options, but no compressor; name one, such as 'supertickets'."
            )
        return None
    host.find("compressor", job.compressor, where="compressor")
    compressor: Compressor = build_component(
        host, "compressor", job.compressor, job.compressor_options, where="compressor_options"
    )
    return compressor


def _task(job: JobConfig, skeleton: SpaceDefinition, host: Host) -> TaskComponent:
    tasks = [t for t in host.components("task").values() if isinstance(t, TaskComponent)]
    wanted = skeleton.task if job.task == "auto" else job.task
    if skeleton.task not in ("auto", wanted):
        raise ConfigError(f"task: the space {skeleton.space!r} is for the task {skeleton.task!r}, not for {wanted!r}.")
    if wanted != "auto":
        component = host.find("task", wanted, where="task" if job.task != "auto" else skeleton.where(("task",)))
        assert isinstance(component, TaskComponent)
        if component.signal != skeleton.input:
            raise ConfigError(
                f"task: {wanted!r} gives the signal {component.signal!r}, but the space {skeleton.space!r} takes "
                f"{skeleton.input!r}; choose a task or space that fits."
            )
        return component
    fitting = [t for t in tasks if t.signal == skeleton.input]
    if not fitting:
        raise ConfigError(
            f"space: no installed task gives the signal {skeleton.input!r} that {skeleton.space!r} takes; "
            "'automl plugins' lists what is installed."
        )
    if job.data is None or len(fitting) == 1:
        return fitting[0]
    recognising = [t for t in fitting if t.load().recognises(job.data)]
    if not recognising and (Path(job.data).suffix or "/" in job.data) and not Path(job.data).exists():
        raise ConfigError(f"data: {job.data!r}: no such file or folder.")
    if len(recognising) != 1:
        found = "several tasks take" if recognising else "no task recognises"
        names = ", ".join(t.name for t in recognising or fitting)
        raise ConfigError(f"data: {found} {job.data!r}; name one with --task. Possible: {names}.")
    return recognising[0]


def _searcher(job: JobConfig, objectives: int, host: Host) -> Callable[[SearchSpace], Searcher]:
    name, colon, argument = job.searcher.partition(":")
    searcher = host.find("searcher", name, where="searcher").load()
    options: dict[str, Any] = {"sampler": argument, "options": job.searcher_options} if colon else job.searcher_options
    _check_options(searcher, options, "searcher_options", fixed=("space", "objectives", "seed"))

    def build(space: SearchSpace) -> Searcher:
        built: Searcher = _build(searcher, options, "searcher_options", space, objectives=objectives, seed=job.seed)
        return built

    return build


def _check_options(
    factory: Callable[..., Any], options: Mapping[str, Any], where: str, fixed: Sequence[str] = ()
) -> None:
    parameters = inspect.signature(factory).parameters
    known = [n for n, p in parameters.items() if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD) and n not in fixed]
    for option in options:
        if option not in known:
            raise ConfigError(f"{where}: unknown option {option!r}.{did_you_mean(option, known)}")


def _build(factory: Callable[..., Built], options: Mapping[str, Any], where: str, *given: Any, **fixed: Any) -> Built:
    _check_options(factory, options, where, fixed=tuple(fixed))
    try:
        return factory(*given, **fixed, **options)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where}: {dict(options)}: {error}") from error
