"""Jobs: resolution, names, durations, and one clear line for each mistake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from automl.errors import ConfigError
from automl.job_config import JobConfig, parse_duration, resolve_job


def test_defaults_are_a_valid_job() -> None:
    assert resolve_job() == JobConfig()


def test_later_sources_win(tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    path.write_text("seed: 3\ntrials: 7\ntraining: {epochs: 5, batch_size: 32}\n")
    job = resolve_job(
        path, settings={"trials": 9}, assignments=["training.epochs=6", "objectives=[error, {latency: {threads: 2}}]"]
    )
    assert (job.seed, job.trials, job.training.epochs, job.training.batch_size) == (3, 9, 6, 32)
    assert job.objective_names == ["error", "latency"]


def test_a_written_job_reads_back_equal(tmp_path: Path) -> None:
    import yaml

    job = resolve_job(
        assignments=["time_budget=1h30m", "constraints=['params<=100k']", "searcher_options.population=7"]
    )
    path = tmp_path / "job.yaml"
    path.write_text(yaml.safe_dump(job.to_dict(), sort_keys=False))
    assert resolve_job(path) == job


def test_the_default_name_is_the_same_for_the_same_job_only() -> None:
    job = JobConfig(data="some/where/cats dogs.npz")
    assert job.default_name().startswith("image-tiny-cats-dogs-")
    assert job.default_name() == JobConfig(data="some/where/cats dogs.npz", trials=3).default_name()
    assert job.default_name() != JobConfig(data="some/where/cats dogs.npz", seed=1).default_name()


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), (90, 90), ("90s", 90), ("10m", 600), ("1h30m", 5400), ("1.5h", 5400)]
)
def test_durations(text: str | int, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "10x", "-3", "0", "h", "1m1h", "nan", "inf"])
def test_wrong_durations(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("seed: [1, 2\n", r"job.yaml:2: not valid YAML"),
        ("seed: 1\nseed: 2\n", r"job.yaml:2: the key 'seed' stands here and on line 1"),
        ("seed: 1\ntrails: 3\n", r"job.yaml:2: trails: unknown option 'trails'. Did you mean 'trials'"),
        (
            "training:\n  epochs: 3\n  learnin_rate: 1\n",
            r"job.yaml:3: training.learnin_rate: .*Did you mean 'learning_rate'",
        ),
        ("training: {epochs: -3}\n", r"job.yaml:1: training.epochs: -3 is not valid"),
        ("trials: 0\n", r"job.yaml:1: trials: 0 is not valid"),
        ("time_budget: soon\n", r"job.yaml:1: time_budget: 'soon' is not valid: 'soon' is no duration"),
        ("time_budget: -5\n", r"time_budget: -5 is not valid: a duration must be positive"),
        ("objectives: []\n", r"job.yaml:1: objectives: \[\] is not valid"),
        ("objectives: [error, error]\n", r"error is named twice"),
        ("- a\n- b\n", r"a job is a mapping of settings, got list"),
        ("a: !!python/object:os.system {}\n", r"not valid YAML: could not determine a constructor"),
    ],
)
def test_a_wrong_job_file_names_line_and_key(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=message):
        resolve_job(path, settings={"seed": 3})


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("epochs", "write it as key=value"),
        ("trainin.epochs=3", "unknown setting 'trainin'. Did you mean 'training'"),
        ("training.epoch=3", "job.training.epoch: unknown option 'epoch'. Did you mean 'epochs'"),
        ("seed=[1", "the value is not valid YAML"),
    ],
)
def test_a_wrong_assignment_is_named(assignment: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        resolve_job(assignments=[assignment])


def test_a_missing_or_binary_job_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none.yaml: no such file"):
        resolve_job(tmp_path / "none.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(ConfigError, match=r"binary.yaml: "):
        resolve_job(tmp_path / "binary.yaml")


def test_every_setting_has_a_description() -> None:
    def undescribed(schema: dict[str, Any]) -> list[str]:
        return [name for name, entry in schema["properties"].items() if not entry.get("description")]

    schema = JobConfig.model_json_schema()
    assert not undescribed(schema)
    for name in ("TrainingConfig", "EvaluationConfig"):
        assert not undescribed(schema["$defs"][name])
