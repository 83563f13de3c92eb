from __future__ import annotations

from pathlib import Path

import pytest

from automl.host import Host, PluginRecord, Probe
from automl.testing import Check, checks_for, expect, plugin_checks
from automl.testing.entry_checks import entry_checks


def test_a_failing_check_names_component_and_property() -> None:
    check = Check(subject="family my.block", name="the property", run=lambda: expect(False, "the reason"))
    with pytest.raises(AssertionError, match=r"^family my\.block: the property: the reason$"):
        check()


def test_other_errors_pass_through() -> None:
    with pytest.raises(ZeroDivisionError):
        Check(subject="family my.block", name="the property", run=lambda: print(1 / 0))()


def test_an_exempt_check_skips_its_test_with_the_reason() -> None:
    host = Host.load(entry_points=False)
    random = host.find("searcher", "random")
    reason = {"resumes exactly": "a reason"}
    checks = {check.name: check for check in checks_for(random, host, exempt=reason)}
    with pytest.raises(pytest.skip.Exception, match="a reason"):
        checks["resumes exactly"]()
    checks["exhausts a small space"]()


@pytest.mark.parametrize("exempt", [{"resume exactly": "a reason"}, {"resumes exactly": "  "}])
def test_an_exemption_needs_a_check_and_a_reason(exempt: dict[str, str]) -> None:
    host = Host.load(entry_points=False)
    with pytest.raises(ValueError, match=r"cannot exempt random from 'resumes? exactly' for .*; checks: asks valid"):
        checks_for(host.find("searcher", "random"), host, exempt=exempt)


def test_an_exemption_needs_a_component() -> None:
    with pytest.raises(ValueError, match=r"cannot exempt vision.mbcov: automl-supernets has no such component"):
        plugin_checks("automl-supernets", exempt={"vision.mbcov": {"examples run": "none yet"}})


def test_a_component_of_a_kind_without_rules_must_load() -> None:
    probe = Probe(name="x", summary="s", target="no_such_module:X")
    (check,) = checks_for(probe, Host.load(entry_points=False))
    with pytest.raises(Exception, match="no_such_module"):
        check()


def test_a_distribution_that_is_not_installed_is_named() -> None:
    with pytest.raises(ValueError, match="no plugin of the distribution 'automl-nowhere' is installed"):
        plugin_checks("automl-nowhere")


def test_a_heavy_entry_module_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "heavy_entry.py").write_text("import torch\n")
    monkeypatch.syspath_prepend(tmp_path)
    record = PluginRecord(name="heavy", module="heavy_entry")
    (light,) = [c for c in entry_checks(record, Host.load(entry_points=False)) if "light" in c.name]
    with pytest.raises(AssertionError, match="importing heavy_entry loads torch, at every start"):
        light()
