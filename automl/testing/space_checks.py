"""Checks of a shared search space: it can be built, and its subnetworks run and can be taken out."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch

from automl.host import Host, Space
from automl.host import Task as TaskRecord
from automl.supernet import SpaceDefinition, Supernet, build_supernet, load_skeleton
from automl.tasks import Task
from automl.testing.check import Check, expect
from automl.testing.weights import assert_close, randomise

__all__ = ["space_checks"]


def space_checks(component: Space, host: Host) -> list[Check]:
    """Returns the checks of a search space; those that build it need an installed task for its signal.

    Args:
        component: its record.
        host: where its blocks, its signal and a task are looked up.
    """
    subject = f"space {component.name}"
    checks = [Check(subject, "the file is valid and named as registered", partial(_check_file, component, host))]
    signal = component.name.split("/")[0]
    task = next((t for t in host.components("task").values() if isinstance(t, TaskRecord) and t.signal == signal), None)
    if task is not None:
        checks.append(
            Check(subject, "subnetworks run and can be extracted", partial(_check_build, component, task, host))
        )
    return checks


def _check_file(component: Space, host: Host) -> None:
    skeleton = _skeleton(component, host)
    expect(skeleton.space == component.name, f"the file calls itself {skeleton.space!r}.")
    signal = component.name.split("/")[0]
    expect(skeleton.input == signal, f"the input is {skeleton.input!r}, the name says {signal!r}.")


def _check_build(component: Space, task_record: TaskRecord, host: Host) -> None:
    definition = _skeleton(component, host)
    if definition.task != "auto":
        named = host.find("task", definition.task)
        assert isinstance(named, TaskRecord)
        task_record = named
    task: Task = task_record.load().load(task_record.default_data, seed=0)
    task.to("cpu", torch.float64)
    supernet: Supernet = build_supernet(definition, task, host).double().eval()
    space = supernet.space
    expect(space.size() > 1, f"the space has {space.size()} architecture, so there is nothing to search.")
    randomise(supernet, seed=1)
    inputs = task.example_inputs(2)
    sample = space.sample(np.random.default_rng(2))
    for architecture in (space.smallest(), space.largest(), sample):
        supernet.activate(architecture)
        with torch.no_grad():
            expected = supernet(*inputs)
            found = supernet.extract(architecture)(*inputs)
        expect(expected.shape[-1] == task.outputs, f"{architecture}: {expected.shape[-1]} outputs, not {task.outputs}.")
        assert_close(found, expected, tolerance=1e-10, what=f"{architecture.id}: extracted against active")


def _skeleton(component: Space, host: Host) -> SpaceDefinition:
    return load_skeleton(component.name, host)
