"""The kit over everything that the library itself registers; plugins run it over theirs in their own tests."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from automl.host import Host
from automl.testing import Check, all_checks, plugin_checks

PLUGINS = sorted((Path(__file__).parents[2] / "plugins").glob("*/pyproject.toml"))


_NEEDS_A_RUN = "rates subnetworks of a supernet that was trained block-wise, which a candidate alone does not hold"
_EXEMPT = {
    "center-distance": dict.fromkeys(
        (
            "measures finite values on any task",
            "leaves the model as it was",
            "a failing candidate does not touch the others",
            "repeats itself and grows with the network",
        ),
        _NEEDS_A_RUN,
    )
}


@pytest.mark.parametrize("check", plugin_checks("automl-supernets", exempt=_EXEMPT), ids=str)
def test_conformance(check: Check) -> None:
    check()


def test_no_installed_component_goes_unchecked() -> None:
    host = Host.load()
    subjects = {check.subject for check in all_checks(host)}
    for record in host.plugins:
        assert f"plugin {record.name}" in subjects
        for component in record.components:
            assert f"{component.kind} {component.name}" in subjects


@pytest.mark.parametrize("metadata", PLUGINS, ids=lambda path: path.parent.name)
def test_every_plugin_of_this_repository_runs_the_kit(metadata: Path) -> None:
    name = tomllib.loads(metadata.read_text())["project"]["name"]
    assert f'plugin_checks("{name}"' in (metadata.parent / "tests" / "test_conformance.py").read_text()
