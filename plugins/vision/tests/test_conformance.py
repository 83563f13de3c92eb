"""What must hold for every component of this plugin, checked by the kit."""

from __future__ import annotations

import pytest

from automl.testing import Check, plugin_checks


@pytest.mark.parametrize("check", plugin_checks("automl-vision"), ids=str)
def test_conformance(check: Check) -> None:
    check()
