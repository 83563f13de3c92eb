"""Checks of an exporter: its files reproduce the network in a fresh process, and the wrong file is told apart."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

import torch

from automl.errors import ExportError
from automl.export import export_model
from automl.export.exporter import Exporter
from automl.export.verification import verify_file
from automl.host import Exporter as ExporterRecord
from automl.host import Host
from automl.testing.candidates import expect_unchanged, toy_candidates
from automl.testing.check import Check, expect

__all__ = ["exporter_checks"]


def exporter_checks(component: ExporterRecord, host: Host) -> list[Check]:
    """Returns the checks of an exporter.

    Args:
        component: its record.
        host: where the export looks it up.
    """
    subject = f"exporter {component.name}"
    return [
        Check(subject, "agrees with its record", partial(_check_record, component)),
        Check(subject, "files reproduce the network in a fresh process", partial(_check_export, component, host)),
        Check(subject, "the file of another network is refused", partial(_check_wrong_file, component)),
        Check(subject, "leaves the network as it was", partial(_check_no_trace, component)),
    ]


def _check_record(component: ExporterRecord) -> None:
    exporter = component.load()()
    expect(isinstance(exporter, Exporter), f"{type(exporter).__name__} must be an Exporter.")
    expect(exporter.name == component.name, f"the class is called {exporter.name!r}, its record {component.name!r}.")
    expect(
        exporter.suffix == component.suffix, f"the class writes {exporter.suffix!r}, its record {component.suffix!r}."
    )
    expect(exporter.reader.is_file(), f"the reader {exporter.reader} does not exist.")
    compile(exporter.how_to_load("model" + exporter.suffix), "how_to_load", "exec")


def _check_export(component: ExporterRecord, host: Host) -> None:
    candidate = toy_candidates()[1]
    with tempfile.TemporaryDirectory() as folder:
        try:
            result = export_model(
                candidate.model,
                candidate.task,
                candidate.architecture,
                Path(folder) / "export",
                [component.name],
                metadata={},
                host=host,
            )
        except ExportError as error:
            raise AssertionError(str(error)) from error
        path = result.paths[component.name]
        expect(path.suffix == component.suffix, f"the file is called {path.name}, expected '*{component.suffix}'.")
        expect(path.stat().st_size > 0, f"{path.name} is empty.")


def _check_wrong_file(component: ExporterRecord) -> None:
    exporter: Exporter = component.load()()
    written, other = toy_candidates(seed=1)[1], toy_candidates(seed=2)[1]
    cases = [written.example_inputs(batch) for batch in (1, 5)]
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        path = Path(folder) / f"model{component.suffix}"
        exporter.write(written.model, written.trace(), path, metadata={})
        try:
            verify_file(exporter, path, other.model, cases, Path(folder))
        except ExportError:
            return
    raise AssertionError("a file with the weights of another network passes as this network's.")


def _check_no_trace(component: ExporterRecord) -> None:
    candidate = toy_candidates()[0]
    before = {name: tensor.clone() for name, tensor in candidate.model.state_dict().items()}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"model{component.suffix}"
        component.load()().write(candidate.model, candidate.trace(), path, metadata={})
    expect_unchanged(candidate.model, before)
