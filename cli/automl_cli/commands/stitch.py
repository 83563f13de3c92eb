"""``automl stitch``: many networks between trained ones, by one linear layer each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from automl_cli.commands.search import announce, run_resolved, show_run
from automl_cli.options import JsonOption, NameOption, OverwriteOption, RunsOption

__all__ = ["stitch"]


def stitch(
    anchors: Annotated[
        list[str],
        typer.Argument(
            metavar="ANCHOR...",
            help="Trained networks: run:NAME#MEMBER, an exported folder, or module:factory=WEIGHTS.safetensors.",
        ),
    ],
    data: Annotated[
        str | None, typer.Option(metavar="DATA", help="Data of the anchors; left out: those of the first run.")
    ] = None,
    task: Annotated[str | None, typer.Option(metavar="TASK", help="Task; otherwise the one that fits.")] = None,
    objective: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Quantity to minimise; repeat for several.")
    ] = None,
    constraint: Annotated[
        list[str] | None, typer.Option(metavar="BOUND", help="Such as 'latency<=2ms'; repeat for several.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs of joint training.")] = None,
    kernel: Annotated[int | None, typer.Option(min=1, help="Blocks in a window; more give more networks.")] = None,
    last_stage: Annotated[
        bool | None,
        typer.Option(
            "--last-stage/--no-last-stage", help="Join inside the last stage, too; left out: only if none else can be."
        ),
    ] = None,
    adapter: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Allow what anchors of different form need: resize, tokens; repeatable."),
    ] = None,
    cut: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="Cut modules of your own behind these submodules, such as 'blocks.*'; repeatable."
        ),
    ] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Number of networks to measure.")] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**32 - 1, help="Seed of everything; left out: that of the first run.")
    ] = None,
    pick: Annotated[
        str, typer.Option(metavar="MEMBER", help="What to export: knee, best:OBJECTIVE, all-front, or none.")
    ] = "knee",
    to: Annotated[
        list[str] | None,
        typer.Option("--to", metavar="FORMATS", help="Formats, with commas between: onnx,pt2,safetensors."),
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Any setting of the job, such as training.learning_rate=0.001."
        ),
    ] = None,
    name: NameOption = None,
    overwrite: OverwriteOption = False,
    runs: RunsOption = Path("runs"),
    as_json: JsonOption = False,
) -> None:
    """Stitch trained networks into many between them, train these jointly, search, report and export.

    The space goes to a YAML file beside the run, which 'automl search --space' takes as well. The same command again goes on
    where it stopped.
    """
    from automl.job_config import resolve_job
    from automl.stitching.job import job_settings, stitched_space
    from automl_cli.commands.export import describe_exports, export_members, print_exports, wanted_formats
    from automl_cli.run_names import find_run, run_folder

    formats = wanted_formats(to)
    options = {"kernel": kernel, "last_stage": last_stage, "adapters": adapter or None}
    space = stitched_space(
        anchors,
        {key: value for key, value in options.items() if value is not None},
        lambda text: find_run(text, runs),
        cuts=cut or (),
    )
    file = run_folder(name if name is not None else space.name(), runs).with_suffix(".yaml")
    given: dict[str, Any] = {
        "data": data,
        "task": task,
        "objectives": objective,
        "constraints": constraint,
        "trials": trials,
        "seed": seed,
    }
    settings = {**job_settings(space.anchors), **{k: v for k, v in given.items() if v is not None and v != []}}
    shorthand = [f"training.epochs={epochs}"] if epochs is not None else []
    resolved = resolve_job(settings={**settings, "space": str(file)}, assignments=[*shorthand, *(assignments or [])])
    folder = run_folder(name if name is not None else resolved.default_name(), runs)
    with space.kept_for(folder, file, overwrite=overwrite or not (folder / "job.yaml").is_file()):
        announce(resolved, folder, overwrite=overwrite)
        run_resolved(resolved, folder, overwrite=overwrite)
    exported = export_members(folder, pick, formats) if pick != "none" else []
    show_run(folder, runs, as_json=as_json, exports=describe_exports(exported))
    if exported and not as_json:
        print_exports(exported)
