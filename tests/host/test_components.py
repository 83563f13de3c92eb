from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from automl.errors import MissingExtraError, PluginError
from automl.host import Exporter, Family, Objective, Searcher, Space, Task
from automl.host.components import KINDS

FAMILY = {"name": "a.b", "summary": "s", "target": "m:C", "accepts": "image", "produces": "logits"}


@pytest.mark.parametrize(
    ("record", "change", "message"),
    [
        (
            Family,
            {"name": "MBConv"},
            r"Family 'MBConv': name must be 'word' or 'package.word' in lower case, got 'MBConv'",
        ),
        (Family, {"name": "a.b.c"}, "name must be"),
        (Family, {"name": ""}, "name must be"),
        (Family, {"name": 3}, "name must be .* got 3"),
        (Family, {"summary": ""}, "Family 'a.b': summary must be one line of text, got ''"),
        (Family, {"summary": "two\nlines"}, "summary must be one line"),
        (
            Family,
            {"target": "package.module.Class"},
            "target must be 'package.module:Class', got 'package.module.Class'",
        ),
        (Family, {"target": "m:C.d"}, "target must be"),
        (Family, {"accepts": "Image"}, "accepts must be the name of a signal kind, got 'Image'"),
        (Family, {"produces": ""}, "produces must be the name of a signal kind or 'logits'"),
        (Family, {"requires": "torch"}, "requires must be a tuple of module names, got 'torch'"),
        (Family, {"requires": ("torch>=2",)}, "requires must be a tuple of module names, got 'torch>=2'"),
    ],
)
def test_a_malformed_record_is_refused(record: type[Any], change: dict[str, Any], message: str) -> None:
    with pytest.raises(PluginError, match=message):
        record(**{**FAMILY, **change})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Space(name="tiny", summary="s", path="a.yaml"), "name must be 'signal/word'"),
        (lambda: Space(name="image/tiny", summary="s", path="a.json"), r"path must be the path of a \.yaml file"),
        (lambda: Exporter(name="x", summary="s", target="m:C", suffix="onnx"), "suffix must be a file ending"),
        (lambda: Objective(name="x", summary="s", target="m:C", unit=None), "unit must be a string"),  # type: ignore[arg-type]
        (lambda: Task(name="x", summary="s", target="m:C", signal="!", default_data=""), "signal must be"),
    ],
)
def test_each_kind_checks_its_own_attributes(make: Any, message: str) -> None:
    with pytest.raises(PluginError, match=message):
        make()


def test_load_imports_the_target() -> None:
    assert Searcher(name="x", summary="s", target="pathlib:Path").load() is Path


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("no_such_module:C", "searcher 'x': cannot import 'no_such_module:C': ModuleNotFoundError"),
        ("pathlib:Pth", "searcher 'x': module 'pathlib' has no 'Pth'. Did you mean 'Path'"),
    ],
)
def test_a_target_that_is_not_there_is_a_plugin_error(target: str, message: str) -> None:
    with pytest.raises(PluginError, match=message):
        Searcher(name="x", summary="s", target=target).load()


def test_a_missing_requirement_names_the_pip_command_and_imports_nothing() -> None:
    record = Searcher(name="x", summary="s", target="no_such:C", requires=("json", "ray_x.core"), extra="pkg[scale]")
    assert record.missing() == ["ray_x.core"]
    with pytest.raises(MissingExtraError, match=r"needs ray_x\.core, .* pip install 'pkg\[scale\]'$"):
        record.load()
    without_extra = Searcher(name="x", summary="s", target="no_such:C", requires=("ray_x",))
    with pytest.raises(MissingExtraError, match=r"pip install ray_x$"):
        without_extra.load()


def test_a_space_loads_as_the_path_of_its_file(tmp_path: Path) -> None:
    space = Space(name="image/x", summary="s", path=tmp_path / "x.yaml")
    with pytest.raises(PluginError, match="space 'image/x': there is no file"):
        space.load()
    (tmp_path / "x.yaml").write_text("input: image")
    assert space.load() == tmp_path / "x.yaml"


def test_every_kind_has_its_own_hook() -> None:
    hooks = [record.hook for record in KINDS.values()]
    assert len(set(hooks)) == len(hooks) == 12
    assert all(record.kind == kind for kind, record in KINDS.items())
