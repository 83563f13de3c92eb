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
from automl.stitching.assembly import Joining, assemble, split_anchor
from automl.stitching.joint import StitchJoint
from automl.stitching.split import split_network
from automl.supernet import Supernet
from automl.training import Sandwich, TrainingConfig, train

SCRIPT = """
import importlib.util, sys, warnings
from pathlib import Path
from lightning_fabric import Fabric
from automl.training import Sandwich, TrainingConfig, train
from automl.stitching.joint import StitchJoint

def load(path):
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

def work(fabric, here, folder, config, strategy):
    supernet = load(Path(here) / "test_distributed.py").SUPERNETS[strategy](seed=fabric.global_rank)
    task = load(Path(here) / "conftest.py").build_task(augment="none")
    chosen = Sandwich(random=1) if strategy == "sandwich" else StitchJoint()
    history = train(supernet, task, TrainingConfig.model_validate_json(config), strategy=chosen, folder=Path(folder),
                    seed=3, fabric=fabric)
    assert len(history) == 2

if __name__ == "__main__":
    here, folder, config, strategy = sys.argv[1:]
    fabric = Fabric(accelerator="cpu", devices=2, strategy="ddp_spawn")
    fabric.launch(work, here, folder, config, strategy)
"""


def plain_supernet(seed: int = 0) -> Supernet:
    """Without batch normalisation and dropout, whose statistics and masks differ between shards of a batch."""
    width = Ordinal(5, 8, 13)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Supernet(nn.Sequential(nn.Flatten(), elastic.Linear(16, width), nn.Tanh(), elastic.Linear(width, 3)))


def stitched_supernet(seed: int = 0) -> Supernet:
    """Two perceptrons of three blocks and the layers between them."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        anchors, images = {}, torch.randn(19, 1, 4, 4)
        for name, width in (("a", 5), ("b", 9)):
            blocks = [nn.Sequential(nn.Linear(width, width), nn.Tanh()) for _ in range(3)]
            module = nn.Sequential(nn.Flatten(), nn.Linear(16, width), *blocks, nn.Linear(width, 3)).eval()
            anchors[name] = split_anchor(split_network(module), (images,), (images[:1],))
        return Supernet(assemble(anchors, Joining()))


SUPERNETS = {"sandwich": plain_supernet, "stitch-joint": stitched_supernet}


@pytest.mark.slow
@pytest.mark.parametrize("strategy", SUPERNETS)
def test_two_processes_give_the_weights_of_one(strategy, new_task, tmp_path):
    config = TrainingConfig(epochs=2, batch_size=18, learning_rate=0.1, optimiser="sgd", warmup_epochs=0, ema=0.5)
    alone = SUPERNETS[strategy]()
    (tmp_path / "alone").mkdir()
    (tmp_path / "both").mkdir()
    train(
        alone,
        new_task(augment="none"),
        config,
        strategy=Sandwich(random=1) if strategy == "sandwich" else StitchJoint(),
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
        strategy,
    ]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    state = torch.load(tmp_path / "both" / "training.ckpt", weights_only=True)["state"]
    assert state["step"] == 6
    for name, parameter in alone.named_parameters():
        assert torch.allclose(state["average"][name], parameter, rtol=0, atol=1e-5), name
