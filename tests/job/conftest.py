"""What tests of jobs share: the installed plugins, and the run that a module calls ``finished``, opened."""

from __future__ import annotations

import pytest

from automl.host import Host
from automl.job.opened import OpenRun, open_ledger, open_run
from automl.run_folder import Run
from automl.search.measurement import Measurement


@pytest.fixture(scope="module")
def host() -> Host:
    return Host.load()


@pytest.fixture(scope="module")
def opened(finished: Run, host: Host) -> OpenRun:
    return open_run(finished, host)


@pytest.fixture(scope="module")
def history(opened: OpenRun) -> list[Measurement]:
    with open_ledger(opened.run, opened.parts, opened.supernet, read_only=True) as ledger:
        return ledger.read()
