from __future__ import annotations

import logging
from typing import Any

import pytest

from automl.host import Host, hookimpl


class Watcher:
    """Notes the calls it gets."""

    def __init__(self) -> None:
        self.seen: list[tuple[Any, ...]] = []

    @hookimpl
    def automl_job_started(self, run: Any, job: Any) -> None:
        self.seen.append(("started", run, job))

    @hookimpl
    def automl_epoch_ended(self, record: Any, epoch: int) -> None:
        self.seen.append(("epoch", epoch, record))

    @hookimpl
    def automl_candidate_measured(self, measurement: Any) -> None:
        self.seen.append(("measured", measurement))

    @hookimpl
    def automl_job_finished(self, front: Any) -> None:
        self.seen.append(("finished", front))


class Grumbler:
    """Fails whenever it is called."""

    @hookimpl
    def automl_job_started(self) -> None:
        raise RuntimeError("no database")

    @hookimpl
    def automl_epoch_ended(self) -> None:
        raise RuntimeError("still no database")


def test_observers_get_the_arguments_that_they_name() -> None:
    watcher = Watcher()
    hook = Host.load(entry_points=False, plugins=[watcher]).hook
    hook.automl_job_started(run="r", job="j")
    hook.automl_epoch_ended(run="r", epoch=3, record={"loss": 0.5})
    hook.automl_candidate_measured(run="r", measurement="m")  # type: ignore[arg-type]
    hook.automl_job_finished(run="r", front={"members": []})
    assert watcher.seen == [
        ("started", "r", "j"),
        ("epoch", 3, {"loss": 0.5}),
        ("measured", "m"),
        ("finished", {"members": []}),
    ]


@pytest.mark.parametrize("order", [0, 1])
def test_an_observer_that_raises_is_reported_once_and_the_others_are_called(
    order: int, caplog: pytest.LogCaptureFixture
) -> None:
    watcher = Watcher()
    plugins = [watcher, Grumbler()] if order else [Grumbler(), watcher]
    hook = Host.load(entry_points=False, plugins=plugins).hook
    with caplog.at_level(logging.WARNING):
        hook.automl_job_started(run="r", job="j")
        hook.automl_epoch_ended(run="r", epoch=0, record={})
    assert [call[0] for call in watcher.seen] == ["started", "epoch"]
    (warning,) = caplog.records
    assert warning.message == (
        "plugin 'Grumbler': observer automl_job_started raised RuntimeError: no database. "
        "The job goes on; further errors of this plugin are not shown."
    )
    assert warning.exc_info is not None


def test_an_interrupt_passes_through() -> None:
    class Stopper:
        @hookimpl
        def automl_job_started(self) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Host.load(entry_points=False, plugins=[Stopper()]).hook.automl_job_started(run=None, job=None)
