from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest

from automl.errors import PluginError, UnknownNameError
from automl.host import Family, Host, Searcher
from automl.host.components import KINDS

GOOD = """
from automl.host import Family, hookimpl
@hookimpl
def automl_families():
    return [Family(name="{name}", summary="a block", target="torch.nn:Identity", accepts="image", produces="image")]
"""


def record_of(host: Host, name: str) -> Any:
    return next(record for record in host.plugins if record.name == name)


def test_the_own_components_are_registered_like_those_of_a_plugin() -> None:
    host = Host.load(entry_points=False)
    (core,) = host.plugins
    assert (core.name, core.distribution, core.status) == ("automl", "automl-supernets", "ok")
    assert {"random", "evolution", "optuna"} <= set(host.components("searcher"))
    assert sum(len(host.components(kind)) for kind in KINDS) == len(core.components)
    assert host.provider(host.find("searcher", "random")) is core


def test_listing_all_components_imports_neither_torch_nor_a_component() -> None:
    code = (
        "import sys; from automl.host import Host; host = Host.load(entry_points=False); "
        "heavy = {'torch', 'numpy', 'networkx', 'optuna', 'pydantic', 'automl.search', 'automl.tasks'} & set(sys.modules); "
        "print(heavy); sys.exit(bool(heavy) or not host.components('task'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_installed_plugin_is_found_with_its_distribution_and_import_time(install: Any) -> None:
    install("plug_good", "import time; time.sleep(0.03)\n" + GOOD.format(name="good.block"), version="3.1")
    host = Host.load()
    record = record_of(host, "plug_good")
    assert (record.distribution, record.version, record.status) == ("plug-good", "3.1", "ok")
    assert record.title == "plug-good 3.1"
    assert 0.03 <= record.import_seconds < 5
    family = host.find("family", "good.block")
    assert family in record.components
    assert host.provider(family) is record
    assert host.problems("plug-good") == []


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("import no_such_dependency", "ModuleNotFoundError: No module named 'no_such_dependency'"),
        ("1 / 0", "ZeroDivisionError"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("def broken(:", "SyntaxError"),
    ],
)
def test_a_plugin_that_fails_to_import_is_listed_with_its_traceback_and_disturbs_no_other(
    install: Any, source: str, error: str
) -> None:
    install("aaa_broken", source)
    install("zzz_good", GOOD.format(name="good.block"))
    host = Host.load()
    broken = record_of(host, "aaa_broken")
    assert broken.status == "broken"
    assert error in broken.error
    assert "Traceback" in broken.traceback
    assert error.split(":")[0] in broken.traceback
    assert broken.components == ()
    assert record_of(host, "zzz_good").status == "ok"
    assert "good.block" in host.components("family")
    assert host.problems("aaa_broken") == [f"aaa-broken 1.2: {broken.error}"]


def test_an_unknown_name_says_which_broken_plugin_may_have_provided_it(install: Any) -> None:
    install("wavelets", "raise RuntimeError('no wavelets today')", distribution="automl-wavelets")
    install("other", "raise RuntimeError('other reason')")
    host = Host.load()
    with pytest.raises(UnknownNameError) as caught:
        host.find("family", "wavelets.haar", where="space.yaml: slots.stem.blocks[0]")
    text = str(caught.value)
    assert text.startswith("space.yaml: slots.stem.blocks[0]: unknown family 'wavelets.haar'.")
    assert "broken: automl-wavelets 1.2 (importing 'wavelets' failed: RuntimeError: no wavelets today)" in text
    assert "other reason" not in text
    with pytest.raises(UnknownNameError, match=r"one of the plugins that are broken: .*wavelets.*other reason"):
        host.find("family", "haar")


def test_an_unknown_name_offers_the_nearest() -> None:
    host = Host.load(entry_points=False)
    with pytest.raises(
        UnknownNameError, match=r"^job.yaml: searcher: unknown searcher 'evolutoin'. Did you mean 'evolution'"
    ):
        host.find("searcher", "evolutoin", where="job.yaml: searcher")
    with pytest.raises(ValueError, match="there is no kind 'layer'"):
        host.find("layer", "x")


def test_two_plugins_with_one_name_are_an_error_naming_both_and_other_names_keep_working(install: Any) -> None:
    source = """
    from automl.host import Searcher, hookimpl
    @hookimpl
    def automl_searchers():
        return [Searcher(name=n, summary="s", target="m:C") for n in ("shared", "{own}")]
    """
    install("one", source.format(own="first"), distribution="pkg-one")
    install("two", source.format(own="second"), distribution="pkg-two", version="7")
    host = Host.load()
    assert {"first", "second"} <= set(host.components("searcher"))
    assert "shared" not in host.components("searcher")
    with pytest.raises(PluginError) as caught:
        host.find("searcher", "shared", where="job.yaml")
    assert str(caught.value) == (
        "job.yaml: searcher 'shared' is claimed by pkg-one 1.2 and pkg-two 7. Remove one ('pip uninstall pkg-one' or "
        "'pip uninstall pkg-two') or ask its authors to rename; all other names keep working."
    )
    for name in ("one", "two"):
        record = record_of(host, name)
        assert record.status == "conflict"
        assert "pkg-one 1.2 and pkg-two 7" in record.error
        assert len(record.components) == 2
        assert len(host.problems(name)) == 1
    assert host.provider(host.find("searcher", "second")).name == "two"
    assert [(c.kind, c.name) for c in host.conflicts] == [("searcher", "shared")]


def test_a_plugin_cannot_silently_replace_a_component_of_the_library(install: Any) -> None:
    install(
        "rival",
        GOOD.replace("Family", "Searcher")
        .replace("families", "searchers")
        .format(name="random")
        .replace(', accepts="image", produces="image"', ""),
    )
    host = Host.load()
    with pytest.raises(
        PluginError, match=r"claimed by automl-supernets.* and rival 1.2. Remove one .'pip uninstall rival'."
    ):
        host.find("searcher", "random")
    assert host.find("searcher", "evolution")


def test_one_name_may_serve_different_kinds(install: Any) -> None:
    install("kinds", GOOD.format(name="random"))
    host = Host.load()
    assert host.conflicts == []
    assert isinstance(host.find("family", "random"), Family)
    assert isinstance(host.find("searcher", "random"), Searcher)


def test_two_distributions_may_use_the_same_entry_point_name(install: Any, tmp_path: Any) -> None:
    install("same_a", GOOD.format(name="a.block"))
    install("same_b", GOOD.format(name="b.block"))
    for letter in "ab":
        folder = tmp_path / "site" / f"same_{letter}-1.2.dist-info"
        (folder / "entry_points.txt").write_text(f"[automl]\nsame = same_{letter}\n")
    assert {"a.block", "b.block"} <= set(Host.load().components("family"))


def test_an_object_given_twice_is_one_plugin(install: Any) -> None:
    install("twice", GOOD.format(name="twice.block"))
    import twice  # type: ignore[import-not-found]

    host = Host.load(plugins=[twice])
    assert host.conflicts == []
    assert [record.name for record in host.plugins].count("twice") == 1


MISUSE = [
    (
        "def automl_families(): return []",
        r"automl_families: the function is named like a hook but not marked, .* Add '@hookimpl'",
    ),
    ("@hookimpl\ndef automl_familes(): return []", "unknown hook 'automl_familes'. Did you mean 'automl_families'"),
    ("def automl_familes(): return []", "names that start with 'automl_' are kept for hooks.*Did you mean"),
    (
        "@hookimpl\ndef automl_families(hots): return []",
        "automl_families: argument 'hots' is not passed to this hook. The hook passes none",
    ),
    (
        "@hookimpl\ndef automl_epoch_ended(run, epok): pass",
        "automl_epoch_ended: argument 'epok' is not passed to this hook. Did you mean 'epoch'. Valid: epoch, record, run",
    ),
    (
        "@hookimpl\ndef automl_epoch_ended(**everything): pass",
        r"name the arguments that you use instead of \*\*everything",
    ),
    ("@hookimpl(wrapper=True)\ndef automl_job_started(run): return (yield)", "cannot be wrapped"),
    ("x = 3", "the plugin has no hook, so it offers nothing"),
    (
        "@hookimpl\ndef automl_families(): return None",
        "automl_families: must return a list of Family records, got None",
    ),
    (
        "@hookimpl\ndef automl_families(): return [Searcher(name='x', summary='s', target='m:C')]",
        "automl_families: item 0: expected a Family record, got Searcher.*Return it from 'automl_searchers'",
    ),
    (
        "@hookimpl\ndef automl_searchers(): return [Searcher(name='x', summary='s', target='m:C')] * 2",
        "automl_searchers: item 1: the name 'x' occurs twice",
    ),
    (
        "@hookimpl\ndef automl_searchers(): return [Searcher(name='X y', summary='s', target='m:C')]",
        "automl_searchers: Searcher 'X y': name must be",
    ),
    ("@hookimpl\ndef automl_searchers(): return 1 / 0", "automl_searchers: ZeroDivisionError"),
]


@pytest.mark.parametrize(("source", "message"), MISUSE)
def test_misuse_of_a_hook_is_reported_with_distribution_hook_and_argument(
    install: Any, source: str, message: str
) -> None:
    install("misuse", "from automl.host import Family, Searcher, hookimpl\n" + source)
    install("zzz_good", GOOD.format(name="good.block"))
    host = Host.load()
    record = record_of(host, "misuse")
    assert record.status == "broken"
    assert re.search(message, record.error), record.error
    (problem,) = host.problems("misuse")
    assert problem.startswith("misuse 1.2: ")
    assert record.components == ()
    assert "good.block" in host.components("family")


def test_a_package_named_like_the_project_is_no_hook(install: Any) -> None:
    install(
        "automl_waves",
        "import automl_spaces\nfrom automl.host.hookspecs import hookimpl as automl_mark\n" + GOOD.format(name="w.b"),
    )
    assert record_of(Host.load(), "automl_waves").status == "ok"


def test_a_signal_that_nobody_provides_is_a_problem_of_its_plugin(install: Any) -> None:
    install("sound", GOOD.replace("image", "smell").format(name="sound.block"))
    (problem,) = Host.load().problems("sound")
    assert "family 'sound.block' uses the signal kind 'smell', which no installed plugin provides" in problem


def test_trace_prints_every_hook_call(
    install: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install("traced", GOOD.format(name="traced.block") + "\n@hookimpl\ndef automl_job_started(run):\n    pass\n")
    monkeypatch.setenv("AUTOML_TRACE_PLUGINS", "1")
    host = Host.load()
    host.hook.automl_job_started(run="a run", job=None)
    lines = capsys.readouterr().err.splitlines()
    assert "automl trace: traced:traced: automl_families() -> [traced.block]" in lines
    assert "automl trace: traced:traced: automl_job_started(run='a run', job=None) -> None" in lines
    monkeypatch.setenv("AUTOML_TRACE_PLUGINS", "0")
    Host.load()
    assert capsys.readouterr().err == ""
