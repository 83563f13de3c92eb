"""The kit over everything that the library itself registers, and over a block that breaks its contract."""

from __future__ import annotations

import pytest

from automl.host import Host
from automl.testing import Check, all_checks, plugin_checks


@pytest.mark.parametrize("check", all_checks(Host.load(entry_points=False)), ids=str)
def test_conformance(check: Check) -> None:
    check()


def test_a_failing_check_names_component_and_property() -> None:
    def run() -> None:
        raise AssertionError("the reason")

    with pytest.raises(AssertionError, match=r"family.my\.block:.the-property: the reason"):
        Check(subject="family my.block", name="the-property", run=run)()


def test_a_distribution_that_is_not_installed_is_named() -> None:
    with pytest.raises(ValueError, match="no plugin of the distribution 'automl-nowhere' is installed"):
        plugin_checks("automl-nowhere")
