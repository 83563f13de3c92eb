"""Training in two processes equals training in one with the same batches."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from automl import elastic
from automl.space import Ordinal
from automl.supernet import Supernet
from automl.training import Sandwich, TrainingConfig, train

SCRIPT = """
import importlib.util, sys, warnings
from pathlib import Path
from lightning_fabric import Fabric
from automl.training import Sandwich, TrainingConfig, train

def load(path):
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

def work(fabric, here, folder, config):
    supernet = load(Path(here) / "test_distributed.py").plain_supernet(seed=fabric.global_rank)
    task = load(Path(here) / "conftest.py").build_task(augment="none")
    history = train(supernet, task, TrainingConfig.model_validate_json(config), strategy=Sandwich(random=1),
                    folder=Path(folder), seed=3, fabric=fabric)
    assert len(history) == 2

if __name__ == "__main__":
    here, folder, config = sys.argv[1:]
    fabric = Fabric(accelerator="cpu", devices=2, strategy="ddp_spawn")
    fabric.launch(work, here, folder, config)
"""


def plain_supernet(seed: int = 0) -> Supernet:
    """Without batch normalisation and dropout, whose statistics and masks differ between shards of a batch."""
    width = Ordinal(5, 8, 13)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Supernet(nn.Sequential(nn.Flatten(), elastic.Linear(16, width), nn.Tanh(), elastic.Linear(width, 3)))


@pytest.mark.slow
def test_two_processes_give_the_weights_of_one(new_task, tmp_path):
    config = TrainingConfig(epochs=2, batch_size=18, learning_rate=0.1, optimiser="sgd", warmup_epochs=0, ema=0.5)
    alone = plain_supernet()
    (tmp_path / "alone").mkdir()
    (tmp_path / "both").mkdir()
    train(
        alone,
        new_task(augment="none"),
        config,
        strategy=Sandwich(random=1),
        folder=tmp_path / "alone",
        seed=3,
        device="cpu",
    )
    script = tmp_path / "work.py"
    script.write_text(SCRIPT)
    arguments = [
        sys.executable,
        str(script),
        str(Path(__file__).parent),
        str(tmp_path / "both"),
        config.model_dump_json(),
    ]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    state = torch.load(tmp_path / "both" / "training.ckpt", weights_only=True)["state"]
    assert state["step"] == 6
    for name, parameter in alone.named_parameters():
        assert torch.allclose(state["average"][name], parameter, rtol=0, atol=1e-5), name
