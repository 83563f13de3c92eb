"""A scaffolded plugin passes its own tests, style and validation at once, and works as installed wheels."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tomllib
import venv
from pathlib import Path

import pytest

from automl.errors import PluginError
from automl.host.scaffold import write_plugin

ROOT = Path(__file__).parents[2]
NAMES = ["automl-wavelets", "a", "Zebra.fishes-with_a-very-long-name-of-40"]


def run(*command: str | Path, cwd: Path, path: list[Path] | None = None) -> str:
    """Runs a command without the caller's ``PYTHONPATH``; returns what it printed."""
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}
    environment |= {"PYTHONPATH": os.pathsep.join(map(str, path or [])), "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def register(folder: Path) -> None:
    """Leaves the metadata beside the package that an editable installation leaves in site-packages."""
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    info = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    points = "".join(f"{key} = {value}\n" for key, value in project["entry-points"]["automl"].items())
    (info / "entry_points.txt").write_text(f"[automl]\n{points}")


def test_the_files_of_a_plugin(tmp_path: Path) -> None:
    files = write_plugin("automl-wavelets", tmp_path / "here")
    assert [str(path.relative_to(tmp_path / "here")) for path in files] == [
        "CHANGELOG.md",
        "README.md",
        "automl_wavelets/__init__.py",
        "automl_wavelets/plugin.py",
        "automl_wavelets/py.typed",
        "automl_wavelets/separable.py",
        "automl_wavelets/spaces/separable.yaml",
        "pyproject.toml",
        "tests/test_conformance.py",
        "tests/test_separable.py",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["here"]
    project = tomllib.loads((tmp_path / "here" / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["automl"] == {"wavelets": "automl_wavelets.plugin"}
    assert not any("$" in path.read_text() for path in files)


@pytest.mark.parametrize("name", NAMES)
def test_a_new_plugin_is_in_good_style(name: str, tmp_path: Path) -> None:
    write_plugin(name, tmp_path / "plugin")
    run(sys.executable, "-m", "ruff", "check", "--no-cache", ".", cwd=tmp_path / "plugin")
    run(sys.executable, "-m", "ruff", "format", "--no-cache", "--check", ".", cwd=tmp_path / "plugin")


def test_a_new_plugin_passes_its_own_tests_and_the_command_that_checks_it(tmp_path: Path) -> None:
    folder = tmp_path / "plugin"
    write_plugin("automl-wavelets", folder)
    register(folder)
    printed = run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=folder, path=[folder])
    assert " passed" in printed
    printed = run(sys.executable, "-m", "automl_cli", "check", "automl-wavelets", cwd=tmp_path, path=[folder])
    assert "family wavelets.separable" in printed
    assert "space image/wavelets" in printed


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "a name has at most 40 letters"),
        ("two words", "a name has at most 40 letters"),
        ("../outside", "a name has at most 40 letters"),
        ("-dash", "starts with a letter"),
        ("dash-", "does not end with '-'"),
        ("1st", "starts with a letter"),
        ("x" * 41, "at most 40"),
        ("class", "'class' cannot name a Python package"),
        ("match", "'match' cannot name a Python package"),
        ("json", "a package 'json' is already installed; choose another name, such as 'json-blocks'"),
        ("automl", "a package 'automl' is already installed"),
        ("automl-supernets", "is already installed"),
    ],
)
def test_a_name_that_cannot_be_used_is_refused(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=message):
        write_plugin(name, tmp_path / "plugin")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_content_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "plugin").mkdir()
    (tmp_path / "plugin" / "thesis.tex").write_text("years of work")
    with pytest.raises(PluginError, match="plugin: this exists and is not an empty folder"):
        write_plugin("automl-wavelets", tmp_path / "plugin")
    assert [path.name for path in (tmp_path / "plugin").iterdir()] == ["thesis.tex"]
    with pytest.raises(PluginError, match="not an empty folder"):
        write_plugin("automl-wavelets", tmp_path / "plugin" / "thesis.tex")


def test_an_empty_folder_is_used(tmp_path: Path) -> None:
    (tmp_path / "plugin").mkdir()
    assert len(write_plugin("automl-wavelets", tmp_path / "plugin")) == 10


def test_a_failure_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = Path.write_text

    def full_disk(path: Path, *arguments: object, **options: object) -> int:
        if path.name == "separable.py":
            raise OSError(28, "No space left on device")
        return written(path, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "write_text", full_disk)
    with pytest.raises(PluginError, match="the plugin cannot be written: No space left on device"):
        write_plugin("automl-wavelets", tmp_path / "plugin")
    assert list(tmp_path.iterdir()) == []


FIND_BLOCK = """
import json, re
import automl, automl_spaces, automl_wavelets
from automl.host import Host
from automl.supernet import build_supernet, load_skeleton
from automl.tasks import ImageClassification

host = Host.load()
skeleton = load_skeleton("image/hybrid", host)
assert skeleton.slots["stage1"].blocks == ["*"]
space = build_supernet(skeleton, ImageClassification.load("digits", seed=0), host).space
print(json.dumps({
    "plugins": {p.name: p.status for p in host.plugins},
    "files": [m.__file__ for m in (automl, automl_spaces, automl_wavelets)],
    "choices": {n: d.choices for n, d in space.dimensions.items() if re.fullmatch(r"stage1.blocks.\\d.choice", n)},
}))
"""


@pytest.mark.slow
def test_an_installed_plugin_widens_the_shared_spaces(tmp_path: Path) -> None:
    plugin = tmp_path / "automl-wavelets"
    write_plugin("automl-wavelets", plugin)
    wheels = tmp_path / "wheels"
    for folder in (ROOT, ROOT / "plugins" / "vision", plugin):
        run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", wheels, folder, cwd=tmp_path)
    place = tmp_path / "venv"
    python = fresh_environment(place)
    install = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index"]
    run(*install, *sorted(wheels.glob("*.whl")), cwd=tmp_path)

    found = json.loads(run(python, "-c", FIND_BLOCK, cwd=tmp_path))
    assert all(Path(file).is_relative_to(place) for file in found["files"]), found["files"]
    assert found["plugins"] == {"automl": "ok", "spaces": "ok", "vision": "ok", "wavelets": "ok"}
    assert len(found["choices"]) == 3
    for name, choices in found["choices"].items():
        assert {"wavelets.separable", "vision.mbconv"} <= set(choices), name

    command = python.with_name("automl")
    assert "wavelets.separable" in run(command, "families", cwd=tmp_path)
    run(command, "check", "image/wavelets", cwd=tmp_path)
    run(command, "init-plugin", "second-one", cwd=tmp_path)  # the templates are in the wheel
    assert (tmp_path / "second-one" / "second_one" / "separable.py").is_file()
    tests = plugin.rename(tmp_path / "source") / "tests"  # so that the tests see the wheel, not the source beside them
    run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", tests, tests, cwd=tmp_path)


def fresh_environment(place: Path) -> Path:
    """Makes an environment that sees the libraries installed here, but none of our distributions; returns its Python."""
    venv.create(place, with_pip=False)
    libraries = place / "libraries"
    libraries.mkdir()
    for entry in Path(sysconfig.get_paths()["purelib"]).iterdir():
        if "automl" not in entry.name and entry.suffix != ".pth" and entry.name != "__pycache__":
            (libraries / entry.name).symlink_to(entry)
    python = place / ("Scripts" if os.name == "nt" else "bin") / "python"
    query = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    site_packages = Path(run(python, "-c", query, cwd=place).strip())
    (site_packages / "libraries.pth").write_text(f"{libraries}\n")
    return python
