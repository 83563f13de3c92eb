"""What a run folder says, read once: trials, front, training history, job. Missing parts are empty, never an error."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from automl.errors import RunError, did_you_mean
from automl.export.manifest import load_manifest
from automl.objectives.units import BUILT_IN_UNITS
from automl.report.axis import Axis
from automl.report.trials import Trials, no_trials, read_trials

__all__ = ["Member", "RunRecord", "read_run"]


@dataclass(frozen=True)
class Member:
    """One model of the front.

    Attributes:
        searched: values that the search saw, by objective.
        measured: values of the final measurement, by objective: ``{"value": v, "low": l, "high": h}``.
        test: quality on the test part, measured once.
        kind: ``"subnet"``, ``"stitch"``, ``"ticket"`` or ``"finalist"``.
        origin: where a network of another kind than ``"subnet"`` comes from.
        predicted: for objectives that were predicted during the search ``{"value": v, "low": l, "high": h, "agrees": a}``.
    """

    id: str
    architecture: dict[str, Any]
    searched: dict[str, float]
    measured: dict[str, dict[str, float | None]]
    test: dict[str, float]
    feasible: bool
    number: int | None
    kind: str
    predicted: dict[str, dict[str, Any]] = field(default_factory=dict)
    origin: dict[str, Any] = field(default_factory=dict)

    def value(self, name: str) -> float | None:
        """Returns the final value of an objective, or what the search saw where it was not measured again."""
        final = self.measured.get(name, {}).get("value")
        return final if final is not None else self.searched.get(name)

    @property
    def disagreements(self) -> list[str]:
        """Objectives whose prediction and measurement have intervals that do not meet."""
        return [name for name, entry in self.predicted.items() if not entry.get("agrees", True)]

    def interval(self, name: str) -> tuple[float, float] | None:
        """Returns the interval of a measured value; None for values without one."""
        entry = self.measured.get(name, {})
        low, high = entry.get("low"), entry.get("high")
        return None if low is None or high is None else (low, high)


@dataclass(frozen=True)
class RunRecord:
    """Everything that a report shows.

    Attributes:
        folder: the run folder.
        axes: the objectives, in the order of ``trials.values``.
        job: the resolved job as a mapping; empty if there is none.
        job_text: the text of ``job.yaml``.
        summary: the object of ``front.json``; empty before the search has ended.
        ranges: the object of ``ranges.json``; empty before the search has begun.
        training: one record per epoch.
        skeleton: slots of the search space as a mapping; None for spaces without slots.
        exports: manifests of exported models, by path relative to the run folder.
        finalists: what was trained alone: one object of ``finalists/<id>/result.json`` each, by id; those that competed for the
            front, if there is one.
    """

    folder: Path
    axes: list[Axis]
    trials: Trials
    members: list[Member]
    job: dict[str, Any]
    job_text: str
    summary: dict[str, Any]
    ranges: dict[str, Any]
    training: list[dict[str, Any]]
    skeleton: dict[str, Any] | None
    exports: dict[str, dict[str, Any]]
    finalists: list[dict[str, Any]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Name of the run: that of its folder."""
        return self.folder.name

    @property
    def picks(self) -> dict[str, str]:
        """Named members of the front, such as ``{"knee": id}``."""
        return dict(self.summary.get("picks") or {})

    @property
    def notes(self) -> list[str]:
        """What limited the search, one sentence each; empty before it has ended."""
        return [str(note["text"]) for note in self.summary.get("notes") or [] if "text" in note]

    @property
    def context(self) -> dict[str, dict[str, Any]]:
        """In which circumstances values were measured: by objective, and ``machine``."""
        contexts = {**(self.summary.get("context") or {}), "machine": self.summary.get("machine")}
        return {name: dict(facts) for name, facts in contexts.items() if isinstance(facts, dict) and facts}

    @property
    def anchors(self) -> dict[str, dict[str, Any]]:
        """The smallest and the largest architecture of the space with their values."""
        anchors = self.ranges.get("anchors") or {}
        return {name: anchors[name] for name in ("smallest", "largest") if name in anchors}

    @property
    def constraints(self) -> list[dict[str, Any]]:
        """Each constraint with its range over the anchors."""
        return list(self.ranges.get("constraints") or [])

    @cached_property
    def has_kinds(self) -> bool:
        """Whether networks of several kinds competed, or members are of another kind than subnetworks."""
        return len(self.summary.get("kinds") or ()) > 1 or any(member.kind != "subnet" for member in self.members)

    @cached_property
    def badges(self) -> dict[str, list[str]]:
        """For each picked id the names it was picked by, ``knee`` first."""
        names: dict[str, list[str]] = {}
        for pick in sorted(self.picks, key=lambda name: (name != "knee", name)):
            names.setdefault(self.picks[pick], []).append(pick)
        return names

    def member(self, pick: str | None) -> Member | None:
        """Returns the member with an id or a pick name; by default the knee, else the first.

        Raises:
            RunError: no member is called so; offers the nearest names.
        """
        by_id = {member.id: member for member in self.members}
        if pick is None:
            return by_id.get(self.picks.get("knee", "")) or next(iter(self.members), None)
        found = by_id.get(self.picks.get(pick, pick))
        if found is None:
            offer = did_you_mean(pick, [*self.picks, *by_id])
            raise RunError(f"{self.folder}: no member of the front is called {pick!r}.{offer}")
        return found


def read_run(folder: Path, *, trials: bool = True) -> RunRecord:
    """Reads a run folder.

    Args:
        folder: the run folder.
        trials: read the ledger, too; the slow part of a long run.

    Raises:
        RunError: there is no such folder, or one of its files is damaged; names the file.
    """
    if not folder.is_dir():
        raise RunError(f"{folder}: there is no such run folder.")
    job_text = _read_text(folder / "job.yaml")
    job = _read_job(folder / "job.yaml", job_text)
    summary = _read_object(folder / "front.json")
    ranges = _read_object(folder / "ranges.json")
    training = _read_json(folder / "training.json") or []
    axes = _quantities(folder, summary, job)
    return RunRecord(
        folder=folder,
        axes=axes,
        trials=read_trials(folder, job.get("storage"), len(axes)) if trials else no_trials(len(axes)),
        members=[_member(folder, entry) for entry in summary.get("members", [])],
        job=job,
        job_text=job_text,
        summary=summary,
        ranges=ranges,
        training=_epochs(folder / "training.json", training),
        skeleton=_skeleton(folder, job),
        exports=_read_exports(folder),
        finalists=_finalists(folder, summary),
    )


def _finalists(folder: Path, summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Those that competed for the front; all that are finished as long as there is none.

    A longer search may choose others, and those of a shorter one stay in the folder.
    """
    paths = sorted(folder.glob("finalists/*/result.json"))
    entered = summary.get("finalists")
    return [_read_object(path) for path in paths if entered is None or path.parent.name in entered]


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"{path}: cannot be read: {error}.") from error


def _read_json(path: Path) -> Any:
    text = _read_text(path)
    if not text:
        return None
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise RunError(f"{path}: damaged: {error}. Move the file away to report on the rest of the run.") from error


def _read_object(path: Path) -> dict[str, Any]:
    content = _read_json(path)
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise RunError(f"{path}: expected a JSON object, got {type(content).__name__}.")
    return content


def _read_job(path: Path, text: str) -> dict[str, Any]:
    try:
        job = yaml.safe_load(text) if text else {}
    except yaml.YAMLError as error:
        raise RunError(f"{path}: not valid YAML: {error}.") from error
    return job if isinstance(job, dict) else {}


def _quantities(folder: Path, summary: Mapping[str, Any], job: Mapping[str, Any]) -> list[Axis]:
    entries: Sequence[Any] = summary.get("objectives") or job.get("objectives") or job.get("objective") or []
    axes = []
    for entry in [entries] if isinstance(entries, str) else entries:
        if isinstance(entry, str):
            axes.append(Axis(entry, BUILT_IN_UNITS.get(entry, "")))
        elif isinstance(entry, Mapping) and isinstance(entry.get("name"), str):
            axes.append(Axis(entry["name"], str(entry.get("unit") or "")))
        elif isinstance(entry, Mapping) and len(entry) == 1:  # an objective with options, as jobs hold it
            name = str(next(iter(entry)))
            axes.append(Axis(name, BUILT_IN_UNITS.get(name, "")))
        else:
            raise RunError(f"{folder}: malformed objective {entry!r}; expected a name, or a name with a unit.")
    return axes


def _member(folder: Path, entry: Mapping[str, Any]) -> Member:
    try:
        return Member(
            id=str(entry["id"]),
            architecture=dict(entry.get("architecture") or {}),
            searched=dict(entry.get("searched") or {}),
            measured=dict(entry.get("measured") or {}),
            test=dict(entry.get("test") or {}),
            feasible=bool(entry.get("feasible", True)),
            number=entry.get("number"),
            kind=str(entry.get("kind", "subnet")),
            predicted=dict(entry.get("predicted") or {}),
            origin=dict(entry.get("origin") or {}),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{folder / 'front.json'}: malformed member {entry!r}.") from error


def _epochs(path: Path, history: Any) -> list[dict[str, Any]]:
    if not isinstance(history, list) or not all(isinstance(record, dict) for record in history):
        raise RunError(f"{path}: expected a list of one object per epoch.")
    return history


def _skeleton(folder: Path, job: Mapping[str, Any]) -> dict[str, Any] | None:
    for candidate in (_read_object(folder / "space.json"), job.get("space")):
        if isinstance(candidate, dict) and isinstance(candidate.get("slots"), dict):
            return candidate
    return None


def _read_exports(folder: Path) -> dict[str, dict[str, Any]]:
    return {
        str(path.parent.relative_to(folder)): load_manifest(path)
        for path in sorted(folder.glob("exports/*/manifest.json"))
    }
