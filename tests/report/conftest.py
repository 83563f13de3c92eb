"""Fabricated run folders in the schema of a finished run, so that reports are tested without training anything."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from automl.search.ledger import Ledger
from automl.search.measurement import Measurement
from automl.search.pareto import knee, pareto_front
from automl.space import Categorical, Dimension, Ordinal, SearchSpace

UNITS = {"error": "", "latency": "ms", "params": "", "size": "B", "macs": ""}
SKELETON: dict[str, Any] = {
    "space": "image/made-up",
    "input": "image",
    "slots": {
        "stem": {"from": "input", "blocks": ["vision.conv_stem"], "width": [16, 24, 32], "stride": 2},
        "stage1": {"from": "stem", "blocks": ["*"], "width": [24, 32, 48], "depth": [1, 2, 3]},
        "side": {"from": "stem", "blocks": ["vision.residual"], "width": "stage1"},
        "stage2": {
            "from": ["stage1", "side"],
            "merge": "sum",
            "blocks": [{"vision.mbconv": {"kernel": [3, 5, 7]}}, "vision.attention"],
            "width": [48, 64, 96],
            "depth": [1, 2, 3, 4],
            "stride": 2,
        },
    },
    "output": "stage2",
    "head": "auto",
}


def made_up_space() -> SearchSpace:
    """Returns the space that ``SKELETON`` describes, built by hand."""
    dimensions: dict[str, Dimension] = {
        "stem.width": Ordinal(16, 24, 32),
        "stage1.width": Ordinal(24, 32, 48),
        "stage1.depth": Ordinal(1, 2, 3),
        "stage2.width": Ordinal(48, 64, 96),
        "stage2.depth": Ordinal(1, 2, 3, 4),
    }
    conditions: dict[str, dict[str, list[int] | str]] = {}
    for slot, deepest, other in (("stage1", 3, "vision.residual"), ("stage2", 4, "vision.attention")):
        for i in range(deepest):
            block = f"{slot}.blocks.{i}"
            there: dict[str, list[int] | str] = {f"{slot}.depth": list(range(i + 1, deepest + 1))} if i else {}
            dimensions[f"{block}.choice"] = Categorical("vision.mbconv", other)
            dimensions[f"{block}.vision_mbconv.kernel"] = Ordinal(3, 5, 7)
            dimensions[f"{block}.vision_mbconv.expansion"] = Ordinal(2, 4, 6)
            dimensions[f"{block}.vision_mbconv.squeeze"] = Categorical(True, False)
            dimensions[f"{block}.{other.replace('.', '_')}.ratio"] = Ordinal(0.25, 0.5)
            conditions[f"{block}.choice"] = there
            for name in ("vision_mbconv.kernel", "vision_mbconv.expansion", "vision_mbconv.squeeze"):
                conditions[f"{block}.{name}"] = {**there, f"{block}.choice": "vision.mbconv"}
            conditions[f"{block}.{other.replace('.', '_')}.ratio"] = {**there, f"{block}.choice": other}
    return SearchSpace.build(dimensions, {name: rule for name, rule in conditions.items() if rule})


def measurements(
    space: SearchSpace, count: int, objectives: list[str], rng: np.random.Generator, failing: int = 0
) -> list[Measurement]:
    """Returns made-up trials whose front bends the way fronts do."""
    result = []
    for number in range(count):
        arch = space.sample(rng)
        if number < failing:
            text = (
                f'Traceback (most recent call last):\n  File "x.py", line 3\nValueError: <b>NaN</b> in layer {number}'
            )
            result.append(Measurement(architecture=arch, values=None, failure=text, number=number))
            continue
        effort = rng.uniform(0.1, 1.0)
        latency = 0.08 + 1.4 * effort**1.5 * rng.uniform(0.85, 1.2)
        known = {
            "error": 0.012 + 0.03 / (0.4 + effort * 4) * rng.uniform(0.95, 2.2),
            "latency": latency,
            "params": round(4_000 + 180_000 * effort**2 * rng.uniform(0.7, 1.4)),
            "macs": round(90_000 + 9_000_000 * effort * rng.uniform(0.7, 1.4)),
            "size": round(16_000 + 720_000 * effort**2 * rng.uniform(0.7, 1.4)),
        }
        values = tuple(float(known[name]) for name in objectives)
        violations = (max(0.0, latency - 1.2),)
        result.append(Measurement(architecture=arch, values=values, violations=violations, number=number))
    return result


def front(trials: list[Measurement], objectives: list[str], rng: np.random.Generator) -> dict[str, Any]:
    """Returns the content of ``front.json`` for trials."""
    usable = [m for m in trials if m.feasible]
    values = np.array([m.values for m in usable])
    chosen = [usable[i] for i in pareto_front(values)]
    members = []
    for m in chosen:
        assert m.values is not None
        searched = dict(zip(objectives, m.values, strict=True))
        measured = {name: {"value": v, "low": None, "high": None} for name, v in searched.items()}
        if "latency" in searched:
            value = searched["latency"] * rng.uniform(0.97, 1.05)
            measured["latency"] = {"value": value, "low": value * 0.97, "high": value * 1.04}
        members.append(
            {
                "id": m.architecture.id,
                "kind": "subnet",
                "architecture": dict(m.architecture),
                "searched": searched,
                "measured": measured,
                "test": {"error": searched.get("error", 0.05) * 1.1, "loss": 0.1},
                "feasible": True,
                "number": m.number,
            }
        )
    picks = {"knee": members[knee([m.values for m in chosen])]["id"]}
    for name in objectives:
        picks[f"best:{name}"] = min(members, key=lambda e: e["searched"][name])["id"]
    return {
        "objectives": [{"name": name, "unit": UNITS[name]} for name in objectives],
        "members": members,
        "picks": picks,
        "hypervolume": 0.1,
        "reference": [float(v) * 1.1 for v in values.max(axis=0)],
        "context": {"latency": {"runtime": "eager", "threads": 1, "batch_size": 1, "dtype": "float32", "repeats": 25}},
        "machine": {"cpu": "Example CPU @ 2.10GHz", "versions": {"torch": "2.13.0", "python": "3.11.7"}},
        "job": {
            "space": "image/made-up",
            "task": "image-classification",
            "data": "digits",
            "seed": 3,
            "strategy": "sandwich",
            "searcher": "evolution",
        },
        "trials": {
            "complete": sum(m.values is not None for m in trials),
            "failed": sum(m.values is None for m in trials),
            "seconds": 83.4,
        },
    }


def history(epochs: int) -> list[dict[str, Any]]:
    """Returns the content of ``training.json``."""
    return [
        {
            "epoch": e,
            "loss": 2.3 / (1 + e) + 0.1,
            "seconds": 2.0,
            "learning_rate": 0.01,
            "validation": {
                "smallest": {"error": 0.9 / (1 + e) + 0.03, "loss": 1.0},
                "random": {"error": 0.8 / (1 + e) + 0.02, "loss": 1.0},
                "largest": {"error": 0.7 / (1 + e) + 0.01, "loss": 1.0},
            },
            "warnings": ["the largest subnetwork is worse than a random one"] if e == 2 else [],
        }
        for e in range(epochs)
    ]


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    """Returns a function that fabricates a run folder."""

    def make(
        name: str = "digits-tiny",
        *,
        trials: int = 120,
        objectives: tuple[str, ...] = ("error", "latency"),
        failing: int = 3,
        epochs: int = 12,
        finished: bool = True,
        data: str = "digits",
    ) -> Path:
        rng = np.random.default_rng(7)
        folder = tmp_path / name
        folder.mkdir()
        names = list(objectives)
        job = {
            "space": "image/made-up",
            "data": data,
            "objectives": names,
            "constraints": ["latency<=1.2ms"],
            "seed": 3,
        }
        (folder / "job.yaml").write_text(yaml.safe_dump(job, sort_keys=False))
        (folder / "space.json").write_text(json.dumps(SKELETON))
        if epochs:
            (folder / "training.json").write_text(json.dumps(history(epochs)))
        if trials:
            space = made_up_space()
            found = measurements(space, trials, names, rng, failing)
            with Ledger(folder / "ledger.log", space=space, objectives=names, study_name=name) as ledger:
                for m in found:
                    ledger.append(m)
            anchors = {
                anchor: {"architecture": dict(m.architecture), "values": dict(zip(names, m.values or (), strict=True))}
                for anchor, m in (("smallest", found[failing]), ("largest", found[failing + 1]))
            }
            bound = {
                "text": "latency<=1.2ms",
                "objective": "latency",
                "lowest": 0.08,
                "highest": 1.5,
                "reachable": True,
            }
            (folder / "ranges.json").write_text(json.dumps({"anchors": anchors, "constraints": [bound]}))
            if finished:
                content = front(found, names, rng)
                content["job"]["data"] = data
                (folder / "front.json").write_text(json.dumps(content))
        return folder

    return make
