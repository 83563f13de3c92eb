"""Anchors from where they are kept: as plain modules with their trained weights, for the task of the job."""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import safetensors
import torch
from torch import nn

from automl.errors import ConfigError, SpaceError, did_you_mean
from automl.export.manifest import file_digest, load_manifest
from automl.host import Host
from automl.job import load_supernet, make_evaluator
from automl.job.front import pick_subnets
from automl.report import read_run
from automl.report.table import sorted_members
from automl.run_folder import Run
from automl.space import Architecture
from automl.stitching.anchor import Anchor
from automl.supernet import build_supernet, load_skeleton
from automl.tasks.task import Task

__all__ = ["check_split", "find_run_of", "load_anchor", "member_of", "run_around", "weights_file"]


def load_anchor(anchor: Anchor, task: Task, host: Host) -> nn.Module:
    """Returns an anchor in evaluation mode on the CPU.

    Raises:
        UserError: there is no such network, its weights have changed or do not fit, or it is of another task or input.
    """
    if anchor.sha256 is not None and file_digest(weights_file(anchor)) != anchor.sha256:
        raise ConfigError(
            f"{weights_file(anchor)}: the weights are not those that were stitched: their sha256 differs. Restore the file, "
            "or start a new run."
        )
    if anchor.run is not None:
        network = _of_run(anchor, task, host)
    elif anchor.export is not None:
        network = _of_export(Path(anchor.export), task, host)
    else:
        network = _of_module(anchor)
    network.eval()
    _check_outputs(network, task)
    return network


def find_run_of(anchor: Anchor) -> Path:
    """Returns the folder of the run that an anchor is a member of."""
    assert anchor.run is not None
    inside = Path("runs") / anchor.run
    return inside if (inside / "job.yaml").is_file() else Path(anchor.run)


def run_around(anchor: Anchor) -> Path | None:
    """Returns the run that an exported folder lies in, if it does."""
    if anchor.export is None:
        return None
    folder = Path(anchor.export).parent.parent
    return folder if (folder / "job.yaml").is_file() else None


def member_of(folder: Path, member: str) -> dict[str, Any]:
    """Returns a member of the front of a run: by position as ``automl front`` lists them, or as ``pick_subnets`` does.

    Raises:
        RunError: the run has no front.
        ConfigError: nothing is called so.
    """
    front: dict[str, Any] = Run.open(folder).read_json("front.json")
    ids = [m.id for m in sorted_members(read_run(folder, trials=False))]
    if member.isdigit() and int(member) < len(ids):
        member = ids[int(member)]
    elif member.isdigit() and not any(identifier.startswith(member) for identifier in ids):
        raise ConfigError(f"{folder}: #{member}: the front has {len(ids)} members, 0 to {len(ids) - 1}.")
    found = pick_subnets(front, member)
    if len(found) != 1:
        raise ConfigError(f"{folder}: #{member}: an anchor is one member; name each.")
    return found[0]


def weights_file(anchor: Anchor) -> Path:
    """Returns the file that holds the weights of an anchor.

    Raises:
        UserError: there is none.
    """
    if anchor.run is not None:
        path = Run.open(find_run_of(anchor)).path("supernet.safetensors")
    elif anchor.export is not None:
        files = load_manifest(Path(anchor.export))["files"]
        if "safetensors" not in files:
            raise ConfigError(
                f"{anchor.export}: holds {', '.join(files) or 'no files'}; an anchor needs its weights: export it with "
                "'--to safetensors'."
            )
        path = Path(anchor.export) / files["safetensors"]["file"]
    else:
        path = Path(str(anchor.weights))
    if not path.is_file():
        raise ConfigError(f"{path}: no such file of weights.")
    return path


def _of_run(anchor: Anchor, task: Task, host: Host) -> nn.Module:
    folder = find_run_of(anchor)
    run = Run.open(folder)
    choices = (
        anchor.architecture if anchor.architecture is not None else member_of(folder, anchor.member)["architecture"]
    )
    supernet, own_task, parts = load_supernet(run, host)
    _check_data(str(anchor), own_task.fingerprint, task)
    (prepared,) = make_evaluator(run, parts, supernet, own_task).prepare([Architecture(choices)])
    if isinstance(prepared, Exception):
        raise ConfigError(f"{anchor}: cannot be extracted: {prepared}") from prepared
    return prepared.model


def _of_export(folder: Path, task: Task, host: Host) -> nn.Module:
    manifest = load_manifest(folder)
    path = weights_file(Anchor(export=str(folder)))
    try:
        space, fingerprint = manifest["job"]["space"], manifest["job"]["data_fingerprint"]
        digest, choices = manifest["space_digest"], manifest["architecture"]
    except (KeyError, TypeError) as error:
        raise ConfigError(
            f"{folder}: the manifest does not say of which space the model is ({error} is missing)."
        ) from error
    _check_data(str(folder), fingerprint, task)
    supernet = build_supernet(load_skeleton(space, host), task, host)
    if supernet.space.digest != digest:
        raise ConfigError(
            f"{folder}: the space {space!r} is not the one that the model was exported from; it has changed since."
        )
    network = supernet.extract(supernet.space.architecture(choices))
    _load_weights(network, path)
    return network


def _of_module(anchor: Anchor) -> nn.Module:
    assert anchor.module is not None
    module_name, _, name = anchor.module.partition(":")
    if os.getcwd() not in sys.path:  # as for a script, so that a file beside the job can be named
        sys.path.insert(0, os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # code of the user
        raise ConfigError(
            f"{anchor.module}: cannot import {module_name!r}: {type(error).__name__}: {error}."
        ) from error
    factory = getattr(module, name, None)
    if not callable(factory):
        raise ConfigError(f"{anchor.module}: no function {name!r} there.{did_you_mean(name, _functions(module))}")
    try:
        with torch.random.fork_rng(devices=()):
            network = factory(**anchor.options)
    except Exception as error:  # code of the user
        raise ConfigError(f"{anchor.module}: {type(error).__name__}: {error}.") from error
    if not isinstance(network, nn.Module):
        raise ConfigError(f"{anchor.module}: gives {type(network).__name__}, expected a torch.nn.Module.")
    _load_weights(network, weights_file(anchor))
    return network


def _load_weights(network: nn.Module, path: Path) -> None:
    """Loads weights, all of them; batch counters and further names of shared tensors may be missing."""
    try:
        with safetensors.safe_open(str(path), framework="pt") as file:
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            shared = json.loads((file.metadata() or {}).get("shared", "{}"))
    except (safetensors.SafetensorError, OSError, json.JSONDecodeError) as error:
        raise ConfigError(f"{path}: damaged or no safetensors file: {error}.") from error
    own = network.state_dict()
    needed = [name for name in own if not name.endswith("num_batches_tracked") and name not in shared]
    missing = [name for name in needed if name not in state]
    foreign = [name for name in state if name not in own]
    shapes = [name for name in needed if name in state and state[name].shape != own[name].shape]
    if missing or foreign or shapes:
        parts = [f"{len(missing)} are missing ({missing[0]}, …)"] if missing else []
        parts += [f"{len(foreign)} are not in the network ({foreign[0]}, …)"] if foreign else []
        parts += [f"{n} has the shape {tuple(state[n].shape)}, not {tuple(own[n].shape)}" for n in shapes[:1]]
        raise ConfigError(f"{path}: the weights do not fit the network: {'; '.join(parts)}.")
    network.load_state_dict(state, strict=False)


def _check_data(name: str, fingerprint: str, task: Task) -> None:
    if fingerprint != task.fingerprint:
        raise ConfigError(
            f"{name}: was trained on other data than those of this job; anchors must share task and data."
        )


def check_split(anchor: Anchor, task: Task) -> None:
    """Refuses an anchor that was trained on samples that a job validates or tests on, as far as its run is known.

    Raises:
        ConfigError: says how many samples these are.
        RunError: the run is missing or damaged.
    """
    folder = find_run_of(anchor) if anchor.run is not None else run_around(anchor)
    if folder is None:
        return
    split: dict[str, list[int]] = Run.open(folder).read_json("split.json")
    seen = set(split["train"]) & {*task.split["validation"], *task.split["test"]}
    if seen:
        raise ConfigError(
            f"{anchor}: was trained on {len(seen)} samples that this job validates or tests on; give the job the seed and task "
            "options of that run."
        )


def _check_outputs(network: nn.Module, task: Task) -> None:
    inputs = tuple(tensor.cpu() for tensor in task.example_inputs(2))
    try:
        with torch.no_grad():
            outputs: Any = network(*inputs)
    except Exception as error:  # code of the user
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in inputs)
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise SpaceError(f"it does not take the inputs of this task, {shapes}: {reason}") from error
    if not isinstance(outputs, torch.Tensor) or outputs.shape[-1] != task.outputs:
        found = tuple(outputs.shape) if isinstance(outputs, torch.Tensor) else type(outputs).__name__
        raise SpaceError(f"it gives {found}, but this task has {task.outputs} outputs.")


def _functions(module: ModuleType) -> list[str]:
    """Names of what can be called in a module and was not imported into it from elsewhere."""
    return [
        name
        for name, value in vars(module).items()
        if callable(value) and getattr(value, "__module__", None) == module.__name__ and not name.startswith("_")
    ]
