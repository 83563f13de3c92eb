"""``automl latency``: time the blocks of a space, and check what is predicted from them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from automl_cli.console import print_json, print_result, print_table
from automl_cli.options import JsonOption

if TYPE_CHECKING:
    from automl.job.latency_study import LatencyStudy

__all__ = ["latency"]

latency = typer.Typer(name="latency", no_args_is_help=True, help="Time the blocks of a space, and check predictions.")

SpaceArgument: TypeAlias = Annotated[
    str, typer.Argument(metavar="SPACE", help="Search space: an installed one or a YAML file.")
]
DataOption: TypeAlias = Annotated[
    str | None, typer.Option(metavar="DATA", help="Data whose samples are the inputs; otherwise the task's default.")
]
TaskOption: TypeAlias = Annotated[
    list[str] | None, typer.Option("--task-option", metavar="KEY=VALUE", help="Option of the task, such as resize.")
]
RuntimeOption: TypeAlias = Annotated[
    str,
    typer.Option(metavar="NAME", help="Runtime that serves the model: eager, onnxruntime, openvino, compile, command."),
]
RuntimeSetting: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--runtime-option",
        metavar="KEY=VALUE",
        help="Option of the runtime, such as command='ssh phone bench {model}'.",
    ),
]
ThreadsOption: TypeAlias = Annotated[int, typer.Option(min=1, help="Threads of one forward.")]
BatchOption: TypeAlias = Annotated[int, typer.Option(min=1, help="Samples in one forward.")]
CacheOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Folder of the tables; default: $AUTOML_CACHE or the user's cache folder."),
]


@latency.command()
def profile(
    space: SpaceArgument,
    data: DataOption = None,
    task_option: TaskOption = None,
    runtime: RuntimeOption = "eager",
    runtime_option: RuntimeSetting = None,
    threads: ThreadsOption = 1,
    batch_size: BatchOption = 1,
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Time every block of a space once, inside whole networks; searches then predict from the table.

    Blocks that are in the table already are not timed again, so the command goes on where it was stopped. Searches do all
    this by themselves; doing it before them, on a quiet machine, gives better numbers.
    """
    from automl_cli.progress_bars import show_progress

    with show_progress() as progress:
        study = _open(space, data, task_option, runtime, runtime_option, threads, batch_size, cache)
        found = study.profile(progress)
    if as_json:
        print_json(found)
        return
    correction = found["correction"]
    inside = "timed inside whole networks" if correction["parts"] == "inside" else "fitted to whole networks"
    print_result(f"{found['blocks']} blocks {inside} in {runtime}, {found['new']} of them now")
    print_result(
        f"Latency = {correction['intercept']:.3g} ms + {correction['slope']:.3f} x sum of blocks, "
        f"95 % within {100 * 1.96 * correction['spread']:.1f} % ({correction['models']} networks)"
    )
    print_result(f"Table:  {found['table']}")
    print_result(f"Next:   automl latency check {space} with the same options")


@latency.command()
def check(
    space: SpaceArgument,
    data: DataOption = None,
    task_option: TaskOption = None,
    runtime: RuntimeOption = "eager",
    runtime_option: RuntimeSetting = None,
    threads: ThreadsOption = 1,
    batch_size: BatchOption = 1,
    count: Annotated[int, typer.Option(min=2, help="Number of random networks to measure.")] = 30,
    seed: Annotated[int, typer.Option(min=0, help="Decides which networks.")] = 1,
    repeats: Annotated[int, typer.Option(min=3, help="Visits to each network in each of the two measurements.")] = 100,
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare predicted latencies with those of random networks, measured twice to see how far a measurement repeats itself."""
    from automl_cli.progress_bars import show_progress

    with show_progress() as progress:
        study = _open(space, data, task_option, runtime, runtime_option, threads, batch_size, cache)
        found = study.check(count, seed, repeats, progress)
    if as_json:
        print_json(found)
        return
    rows = [
        (
            name,
            "–" if values["tau"] is None else f"{values['tau']:.3f}",
            f"{100 * values['error']:.1f} %",
            f"{100 * values['bias']:+.1f} %",
        )
        for name, values in (
            ("predicted against measured", found["predicted"]),
            (f"the same, machine {found['machine']:.2f} x as slow now", found["adjusted"]),
            ("measured again against measured", found["repeated"]),
        )
    ]
    low, high = found["range"]
    print_table(
        f"{count} networks of {space} in {runtime}, {low:.3g} to {high:.3g} ms",
        ["", "Kendall tau", "median relative error", "bias"],
        rows,
        right=[1, 2, 3],
    )
    print_result(f"{100 * found['inside']:.0f} % of the measurements lie in the 95 % interval of their prediction")


def _open(
    space: str,
    data: str | None,
    task_options: list[str] | None,
    runtime: str,
    runtime_options: list[str] | None,
    threads: int,
    batch_size: int,
    cache: Path | None,
) -> LatencyStudy:
    from automl.host import Host
    from automl.job.latency_study import LatencyStudy

    host = Host.load()
    host.find("runtime", runtime, where="--runtime")
    options = {
        "runtime": runtime,
        "runtime_options": _settings("--runtime-option", runtime_options),
        "threads": threads,
        "batch_size": batch_size,
        **({} if cache is None else {"cache": str(cache)}),
    }
    return LatencyStudy.open(
        host, space, data=data, task_options=_settings("--task-option", task_options), options=options
    )


def _settings(option: str, assignments: list[str] | None) -> dict[str, Any]:
    import yaml

    from automl.errors import ConfigError

    settings = {}
    for assignment in assignments or []:
        key, equals, text = assignment.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"{option} {assignment}: write it as KEY=VALUE.")
        try:
            settings[key.strip()] = yaml.safe_load(text)
        except yaml.YAMLError:
            settings[key.strip()] = text  # such as a command with braces
    return settings
