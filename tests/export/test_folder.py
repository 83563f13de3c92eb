"""Export folders: all or nothing, whatever goes wrong."""

from __future__ import annotations

import errno
import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch
from torch import nn

from automl.errors import ExportError, RunError, UnknownNameError
from automl.export import Exporter, ExportResult, SafetensorsExporter, export_model, load_manifest
from automl.export.verification import largest_error
from automl.host import Host
from automl.objectives import Trace
from automl.space import Architecture
from automl.tasks import ImageClassification


class Odd(Exporter):
    """Stores weights as safetensors do, and does one thing wrong; ``write_more`` and ``reader`` say what."""

    name = "odd"
    suffix = ".odd"
    exact = True
    reader: ClassVar[Path] = SafetensorsExporter.reader

    def __init__(self, change: str = "", reader: Path | None = None) -> None:
        self.change = change
        if reader is not None:
            self.reader = reader  # type: ignore[misc]

    def write(self, model: nn.Module, trace: Trace, path: Path, *, metadata: Mapping[str, str]) -> int:
        if self.change == "raise":
            raise ExportError("no form for this operator")
        if self.change == "interrupt":
            path.write_text("half")
            raise KeyboardInterrupt
        if self.change == "perturb":
            model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
        entries = SafetensorsExporter().write(model, trace, path, metadata=metadata)
        if self.change == "pad":
            with path.open("ab") as file:
                file.write(b"\0" * 100_000)
        if self.change == "truncate":
            path.write_bytes(path.read_bytes()[:-8])
        return entries

    def how_to_load(self, file: str) -> str:
        return ""

    def expected(self, model: nn.Module, cases: Any) -> dict[str, torch.Tensor]:
        return SafetensorsExporter().expected(model, cases)


class Offering:
    """A host that knows one odd exporter beside those of the library."""

    def __init__(self, odd: Exporter) -> None:
        self.odd, self.host = odd, Host.load(entry_points=False)

    def find(self, kind: str, name: str, where: str = "") -> Any:
        return SimpleNamespace(load=lambda: lambda: self.odd) if name == "odd" else self.host.find(kind, name, where)


@pytest.fixture
def small() -> nn.Module:
    torch.manual_seed(4)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10)).eval()


def _export(
    model: nn.Module, task: ImageClassification, folder: Path, *formats: str, host: Any = None, **metadata: Any
) -> ExportResult:
    return export_model(
        model,
        task,
        Architecture({"depth": 1}),
        folder,
        formats,
        metadata=metadata,
        host=host or Host.load(entry_points=False),
    )


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("raise", "odd: no form for this operator"),
        ("perturb", "odd: tensor 1.weight differs from the network's"),
        ("pad", "bytes of weights explain"),
        ("truncate", "odd: the file cannot be used in a fresh process: .*SafetensorError"),
        ("interrupt", None),
    ],
)
def test_a_failure_leaves_nothing_behind_and_an_earlier_export_untouched(
    change: str, message: str | None, small: nn.Module, task: ImageClassification, folder: Path
) -> None:
    failure = pytest.raises(ExportError, match=message) if message else pytest.raises(KeyboardInterrupt)
    if change == "pad":  # a file that readers accept, but that holds too much

        class Tolerant(Odd):
            reader = folder.parent.parent / "tolerant.py"

        Tolerant.reader.write_text(
            "import io, json\nfrom safetensors.numpy import load\n"
            "def replay(file, cases):\n    return load(open(file, 'rb').read()[:-100_000])\n"
        )
        odd: Exporter = Tolerant(change)
    else:
        odd = Odd(change)
    with failure:
        _export(small, task, folder, "safetensors", "odd", host=Offering(odd))
    assert not any(folder.parent.iterdir())

    _export(small, task, folder, "safetensors")
    before = _contents(folder.parent)
    with failure:
        _export(small, task, folder, "safetensors", "odd", host=Offering(odd))
    assert _contents(folder.parent) == before


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("import automl", "the file needs the package 'automl' to be loaded"),
        ("import automl_cli.main", "the file needs the package 'automl_cli' to be loaded"),
        ("import sys; sys.meta_path.pop(0); sys.modules['automl'] = sys", "loading the file imported automl"),
        ("raise SystemExit(3)", "exit code 3"),
        ("raise ValueError('no such operator')", "ValueError: no such operator"),
    ],
)
def test_a_file_that_needs_this_library_is_refused(
    lines: str, message: str, small: nn.Module, task: ImageClassification, folder: Path, tmp_path: Path
) -> None:
    reader = tmp_path / "reader.py"
    reader.write_text(f"def replay(file, cases):\n    {lines}\n    return {{}}\n")
    with pytest.raises(ExportError, match=message):
        _export(small, task, folder, "odd", host=Offering(Odd(reader=reader)))
    assert not folder.exists()


def test_an_export_that_was_killed_is_cleaned_up(small: nn.Module, task: ImageClassification, folder: Path) -> None:
    partial, replaced = folder.with_name(".one.partial"), folder.with_name(".one.replaced")
    partial.mkdir(parents=True)
    (partial / "half.onnx").write_text("half")
    _export(small, task, folder, "safetensors")
    assert [path.name for path in folder.parent.iterdir()] == ["one"]

    folder.rename(replaced)  # killed between the two renames: the old export is still whole
    with pytest.raises(ExportError):
        _export(small, task, folder, "odd", host=Offering(Odd("raise")))
    assert [path.name for path in folder.parent.iterdir()] == ["one"]
    load_manifest(folder, check_files=True)


def test_other_formats_of_the_same_weights_are_kept(small: nn.Module, task: ImageClassification, folder: Path) -> None:
    first = _export(small, task, folder, "odd", host=Offering(Odd()))
    both = _export(small, task, folder, "safetensors", seed=3)
    assert set(both.manifest["files"]) == {"odd", "safetensors"}
    assert set(both.paths) == {"safetensors"}
    assert both.manifest["files"]["odd"] == first.manifest["files"]["odd"]
    load_manifest(folder, check_files=True)

    with torch.no_grad():
        small[1].bias[2] += 1
    other = _export(small, task, folder, "safetensors")
    assert set(other.manifest["files"]) == {"safetensors"}
    assert sorted(path.name for path in folder.iterdir()) == sorted([other.paths["safetensors"].name, "manifest.json"])


def test_the_manifest_says_what_was_given_and_what_was_measured(
    small: nn.Module, task: ImageClassification, folder: Path
) -> None:
    result = _export(small, task, folder, "safetensors", seed=7, metrics={"error": 0.25}, space_digest="ab12")
    manifest = load_manifest(folder, check_files=True)
    assert (manifest["seed"], manifest["metrics"], manifest["space_digest"]) == (7, {"error": 0.25}, "ab12")
    assert (manifest["architecture"], manifest["parameters"]) == ({"depth": 1}, 650)
    assert manifest["id"] == Architecture({"depth": 1}).id == result.paths["safetensors"].stem
    assert manifest["task"]["data"] == "digits"
    assert {"python", "torch", "safetensors"} <= set(manifest["versions"])
    with pytest.raises(ValueError, match="metadata must not hold files"):
        _export(small, task, folder, "safetensors", files={})


def test_an_unknown_format_offers_the_nearest(small: nn.Module, task: ImageClassification, folder: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown exporter 'onxx'\. Did you mean 'onnx'"):
        _export(small, task, folder, "onxx")
    assert not folder.parent.exists()


def test_a_place_that_cannot_be_written_is_one_clear_line(
    small: nn.Module, task: ImageClassification, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RunError, match="cannot be written"):
        _export(small, task, tmp_path / "file" / "one", "safetensors")


def test_a_full_disk_is_one_clear_line(
    small: nn.Module, task: ImageClassification, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(RunError, match="the disk is full; free some space"):
        _export(small, task, folder, "safetensors")
    assert not any(folder.parent.iterdir())


class Loose(Odd):
    """An exporter whose outputs may differ by rounding."""

    exact = False


def test_rounding_is_told_from_faults() -> None:
    wanted = {"0/0": torch.tensor([[3.0, -50.0]]), "1/0": torch.tensor([[0.25, 1.0]])}
    close = {"0/0": wanted["0/0"] + torch.tensor([0.0, 2e-3]), "1/0": wanted["1/0"]}
    assert largest_error(Loose(), wanted, close) == pytest.approx(2e-3, rel=1e-2)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({"0/0": torch.tensor([[3.0, -50.02]])}, "outputs differ by 0.02, and rounding explains 0.005 at most"),
        ({"0/0": torch.tensor([[3.0, float("nan")]])}, "outputs differ by nan"),
        ({"0/0": torch.tensor([3.0, -50.0])}, r"is torch.float32 \(2,\) in the file, but torch.float32 \(1, 2\)"),
        ({"0/0": torch.tensor([[3.0, -50.0]]).double()}, "is torch.float64"),
        ({}, "gives other tensors than the network: 0/0"),
    ],
)
def test_outputs_that_differ_are_refused(found: dict[str, torch.Tensor], message: str) -> None:
    with pytest.raises(ExportError, match=message):
        largest_error(Loose(), {"0/0": torch.tensor([[3.0, -50.0]])}, found)


def test_a_network_without_finite_outputs_proves_nothing() -> None:
    outputs = {"0/0": torch.tensor([float("inf")])}
    with pytest.raises(ExportError, match="not finite"):
        largest_error(Loose(), outputs, outputs)


def test_stored_tensors_must_agree_in_every_bit() -> None:
    zero, minus = {"a": torch.tensor([0.0])}, {"a": torch.tensor([-0.0])}
    assert largest_error(Odd(), zero, zero) == 0
    with pytest.raises(ExportError, match="tensor a differs"):
        largest_error(Odd(), zero, minus)


MANIFEST: dict[str, Any] = {
    "format": "automl-export",
    "version": 1,
    "architecture": {},
    "files": {"pt2": {"file": "a.pt2", "bytes": 3, "predicted_bytes": 3, "sha256": "", "max_abs_error": 0.0}},
    "inputs": [],
    "parameters": 1,
    "state_bytes": 4,
    "state_sha256": "",
    "versions": {},
}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (json.dumps(MANIFEST)[:-30], "not valid JSON .* truncated or was edited"),
        ("[1, 2]", "not the manifest of an export"),
        ("{}", "not the manifest of an export"),
        (json.dumps(MANIFEST | {"format": "other"}), "not the manifest of an export"),
        (json.dumps(MANIFEST | {"version": 7}), "written by another version of automl: manifest version 7"),
        (json.dumps({k: v for k, v in MANIFEST.items() if k != "files"}), "'files' is missing or no dict"),
        (json.dumps(MANIFEST | {"files": {"pt2": {"file": "a.pt2"}}}), "files.pt2: bytes, max_abs_error, .* missing"),
        (json.dumps(MANIFEST | {"files": {"pt2": 3}}), "files.pt2"),
        (
            json.dumps(MANIFEST | {"files": {"pt2": MANIFEST["files"]["pt2"] | {"file": "../a.pt2"}}}),
            "must be a file name without a folder",
        ),
        (json.dumps(MANIFEST), "the manifest names this file, but it is missing"),
    ],
)
def test_damaged_and_foreign_manifests_are_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(RunError, match=message) as caught:
        load_manifest(tmp_path, check_files=True)
    assert str(tmp_path) in str(caught.value)


def test_a_missing_manifest_and_a_changed_file_are_refused(
    small: nn.Module, task: ImageClassification, folder: Path
) -> None:
    with pytest.raises(RunError, match="there is no such manifest"):
        load_manifest(folder / "manifest.json")
    path = _export(small, task, folder, "safetensors").paths["safetensors"]
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    load_manifest(folder)
    with pytest.raises(RunError, match="size or digest differ"):
        load_manifest(folder, check_files=True)
