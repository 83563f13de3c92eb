"""A training that was interrupted ends with the same bits as one that was not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from automl.errors import RunError
from automl.training import Mixture, Progressive, Sandwich, SinglePath, SortedNetworks, train

STEPS_PER_EPOCH = 4  # 54 training samples in batches of 16


class Killed(BaseException):
    """Stands for the end of the process: nothing of the library catches it."""


class KillAfter:
    """Progress that ends the process after some steps, or after an epoch is safe."""

    def __init__(self, steps: int | None = None, epoch: int | None = None) -> None:
        self.steps, self.epoch, self.seen = steps, epoch, 0
        self.starts: list[tuple[int, int]] = []

    def start(self, total: int, completed: int) -> None:
        self.starts.append((total, completed))

    def advance(self, steps: int = 1) -> None:
        self.seen += steps
        if self.seen == self.steps:
            raise Killed

    def epoch_ended(self, record) -> None:
        if record["epoch"] == self.epoch:
            raise Killed


def _without_time(history):
    return [{key: value for key, value in record.items() if key != "seconds"} for record in history]


def _equal_weights(first, second):
    mine, theirs = first.state_dict(), second.state_dict()
    assert mine.keys() == theirs.keys()
    different = [name for name in mine if not torch.equal(mine[name], theirs[name])]
    assert not different


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """Weights and history of trainings that were not interrupted, by strategy and options."""
    kept = {}

    def run(new_supernet, new_task, config, strategy):
        key = (repr(strategy), repr(config))
        if key not in kept:
            supernet = new_supernet()
            folder = tmp_path_factory.mktemp("reference")
            kept[key] = (
                supernet,
                train(supernet, new_task(), config, strategy=strategy, folder=folder, seed=3, device="cpu"),
            )
        return kept[key]

    return run


MOMENTS = [
    *({"steps": step} for step in range(1, 4 * STEPS_PER_EPOCH + 1)),  # within every epoch
    *({"epoch": epoch} for epoch in range(1, 5)),  # at every border
]


@pytest.mark.parametrize("moment", MOMENTS, ids=str)
def test_training_killed_once_equals_one_never_killed(moment, new_supernet, new_task, config, tmp_path, reference):
    strategy = Sandwich(random=1)
    whole, history = reference(new_supernet, new_task, config, strategy)
    with pytest.raises(Killed):
        train(
            new_supernet(),
            new_task(),
            config,
            strategy=strategy,
            folder=tmp_path,
            seed=3,
            device="cpu",
            progress=KillAfter(**moment),
        )
    resumed = new_supernet(seed=99)  # other weights, as all come from the checkpoint
    torch.rand(7)  # another state of the global generator
    again = train(resumed, new_task(), config, strategy=strategy, folder=tmp_path, seed=3, device="cpu")
    _equal_weights(whole, resumed)
    assert _without_time(again) == _without_time(history)
    assert _without_time(json.loads((tmp_path / "training.json").read_text())) == _without_time(history)


@pytest.mark.parametrize(
    "strategy",
    [SortedNetworks(accumulation=2), Progressive(first=0.2, random=1), Mixture(models=2)],
    ids=lambda s: s.name,
)
@pytest.mark.parametrize("moment", [{"steps": 3}, {"steps": 9}, {"epoch": 2}], ids=str)
def test_every_strategy_resumes_exactly(strategy, moment, new_supernet, new_task, config, tmp_path, reference):
    whole, history = reference(new_supernet, new_task, config, strategy)
    given = {"strategy": strategy, "folder": tmp_path, "seed": 3, "device": "cpu"}
    with pytest.raises(Killed):
        train(new_supernet(), new_task(), config, progress=KillAfter(**moment), **given)
    resumed = new_supernet(seed=99)
    again = train(resumed, new_task(), config, **given)
    _equal_weights(whole, resumed)
    assert _without_time(again) == _without_time(history)


@pytest.mark.parametrize(
    "changes",
    [
        {"optimiser": "sgd", "ema": 0.0},
        {"optimiser": "sgd", "momentum": 0.0},
        {"clip_norm": 0.0, "channels_last": True},
    ],
    ids=str,
)
def test_every_optimiser_resumes_exactly_after_every_step(changes, new_supernet, new_task, config, tmp_path, reference):
    config, strategy = config.model_copy(update=changes), SinglePath()
    whole, history = reference(new_supernet, new_task, config, strategy)
    resumed = new_supernet()
    for _ in range(40):  # killed at each step until it is done: never more than one epoch per attempt
        try:
            again = train(
                resumed,
                new_task(),
                config,
                strategy=strategy,
                folder=tmp_path,
                seed=3,
                device="cpu",
                progress=KillAfter(steps=STEPS_PER_EPOCH + 1),
            )
            break
        except Killed:
            resumed = new_supernet(seed=5)
    _equal_weights(whole, resumed)
    assert _without_time(again) == _without_time(history)


def test_finished_training_is_loaded_not_repeated(new_supernet, new_task, config, tmp_path, reference):
    strategy = SinglePath()
    whole, history = reference(new_supernet, new_task, config, strategy)
    train(new_supernet(), new_task(), config, strategy=strategy, folder=tmp_path, seed=3, device="cpu")
    loaded, progress = new_supernet(seed=7), KillAfter(steps=1)
    again = train(
        loaded, new_task(), config, strategy=strategy, folder=tmp_path, seed=3, device="cpu", progress=progress
    )
    _equal_weights(whole, loaded)
    assert _without_time(again) == _without_time(history)
    assert progress.starts == [(16, 16)]


def test_other_seed_gives_other_weights(new_supernet, new_task, config, tmp_path, reference):
    whole, _ = reference(new_supernet, new_task, config, SinglePath())
    other = new_supernet()
    train(other, new_task(), config, strategy=SinglePath(), folder=tmp_path, seed=4, device="cpu")
    assert any(not torch.equal(a, b) for a, b in zip(whole.parameters(), other.parameters(), strict=True))


def test_global_generators_are_left_as_they_were(new_supernet, new_task, config, tmp_path):
    before = torch.random.get_rng_state()
    train(new_supernet(), new_task(), config, strategy=SinglePath(), folder=tmp_path, seed=3, device="cpu")
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.fixture
def interrupted(new_supernet, new_task, config, tmp_path):
    with pytest.raises(Killed):
        train(
            new_supernet(),
            new_task(),
            config,
            strategy=SinglePath(),
            folder=tmp_path,
            seed=3,
            device="cpu",
            progress=KillAfter(steps=6),
        )
    return tmp_path


@pytest.mark.parametrize("damage", ["truncate", "empty", "text", "bytes"])
def test_damaged_checkpoint_is_an_error_that_names_the_file(damage, interrupted, new_supernet, new_task, config):
    path = interrupted / "training.ckpt"
    content = path.read_bytes()
    path.write_bytes(
        {
            "truncate": content[: len(content) // 2],
            "empty": b"",
            "text": b"no checkpoint",
            "bytes": bytes(range(256)) * 40,
        }[damage]
    )
    damaged = path.read_bytes()
    with pytest.raises(
        RunError, match=r"training\.ckpt: damaged or no checkpoint.* Remove the file to train from the beginning"
    ):
        train(new_supernet(), new_task(), config, strategy=SinglePath(), folder=interrupted, seed=3, device="cpu")
    assert path.read_bytes() == damaged


def test_checkpoint_with_code_in_it_is_not_run(interrupted, new_supernet, new_task, config, tmp_path):
    marker = tmp_path / "ran"

    class Attack:
        def __reduce__(self):
            return Path.touch, (marker,)

    torch.save({"format": 1, "identity": {}, "state": Attack()}, interrupted / "training.ckpt")
    with pytest.raises(RunError, match="damaged or no checkpoint"):
        train(new_supernet(), new_task(), config, strategy=SinglePath(), folder=interrupted, seed=3, device="cpu")
    assert not marker.exists()


def test_checkpoint_of_another_training_is_refused_with_the_difference(interrupted, new_supernet, new_task, config):
    cases = [
        ({"config": config.model_copy(update={"learning_rate": 0.02})}, "learning_rate was 0.01, is 0.02"),
        ({"seed": 4}, "seed was 3, is 4"),
        (
            {"strategy": Sandwich(random=3)},
            "strategy was 'single-path {}', is 'sandwich {\"distillation\": true, \"random\": 3}'",
        ),
        ({"task": new_task(samples=93)}, "data was"),
    ]
    for change, message in cases:
        given = {"config": config, "seed": 3, "strategy": SinglePath(), "task": new_task()} | change
        with pytest.raises(RunError) as caught:
            train(
                new_supernet(),
                given["task"],
                given["config"],
                strategy=given["strategy"],
                folder=interrupted,
                seed=given["seed"],
                device="cpu",
            )
        assert message in str(caught.value)


def test_folder_that_cannot_be_written_is_named_and_nothing_is_left(new_supernet, new_task, config, tmp_path):
    with pytest.raises(RunError, match="nowhere"):
        train(
            new_supernet(), new_task(), config, strategy=SinglePath(), folder=tmp_path / "nowhere", seed=3, device="cpu"
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_process_killed_by_the_system_resumes_to_the_same_bits(new_supernet, new_task, config, tmp_path, reference):
    """The same with a real process and SIGKILL, once within an epoch and once while the checkpoint is being replaced."""
    strategy = SinglePath()
    whole, history = reference(new_supernet, new_task, config, strategy)
    script = tmp_path / "job.py"
    script.write_text(
        f"import sys, os, signal, importlib.util\n"
        f"spec = importlib.util.spec_from_file_location('cases', {str(Path(__file__).with_name('conftest.py'))!r})\n"
        f"cases = importlib.util.module_from_spec(spec); spec.loader.exec_module(cases)\n"
        f"from pathlib import Path\n"
        f"from automl.training import SinglePath, TrainingConfig, train\n"
        f"place, calls = sys.argv[1], 0\n"
        f"def die():\n"
        f"    os.kill(os.getpid(), signal.SIGKILL)\n"
        f"if place == 'replace':\n"
        f"    original = Path.replace\n"
        f"    def replace(self, target):\n"
        f"        global calls\n"
        f"        calls += 1\n"
        f"        die() if calls == 4 else original(self, target)\n"
        f"    Path.replace = replace\n"
        f"class Progress:\n"
        f"    def start(self, total, completed): pass\n"
        f"    def advance(self, steps=1):\n"
        f"        global calls\n"
        f"        calls += place == 'step'\n"
        f"        if place == 'step' and calls == 6: die()\n"
        f"    def epoch_ended(self, record): pass\n"
        f"config = TrainingConfig.model_validate_json({config.model_dump_json()!r})\n"
        f"train(cases.build_supernet(), cases.build_task(), config, strategy=SinglePath(), folder=Path({str(tmp_path)!r}),"
        f" seed=3, device='cpu', progress=Progress())\n"
    )
    for place in ("step", "replace"):
        done = subprocess.run(
            [sys.executable, str(script), place], env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True
        )
        assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    resumed = new_supernet(seed=5)
    again = train(resumed, new_task(), config, strategy=strategy, folder=tmp_path, seed=3, device="cpu")
    _equal_weights(whole, resumed)
    assert _without_time(again) == _without_time(history)
