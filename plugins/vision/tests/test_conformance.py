"""What must hold for every component of this plugin, checked by the kit."""

from __future__ import annotations

import pytest
from automl_vision import plugin

from automl.host import Host
from automl.testing import Check, checks_of

HOST = Host.load(entry_points=False, plugins=[plugin])
CHECKS = checks_of(plugin, HOST)


@pytest.mark.parametrize("check", CHECKS, ids=str)
def test_conformance(check: Check) -> None:
    check()
