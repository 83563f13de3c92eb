"""The conformance kit over all components of this plugin."""

from __future__ import annotations

import pytest
from automl_graph import plugin

from automl.host import Host
from automl.testing import Check, checks_of

HOST = Host.load(entry_points=False, plugins=[plugin])
CHECKS = checks_of(plugin, HOST)


@pytest.mark.parametrize("check", CHECKS, ids=str)
def test_conformance(check: Check) -> None:
    check()
