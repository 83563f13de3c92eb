"""`kill -9` in commands that work on in runs, then the same command: the folder is that of an undisturbed run."""

from __future__ import annotations

import json
import random
import re
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

pytest.importorskip("automl_vision", reason="the space of these runs uses blocks of automl-vision")

SPACE = """\
space: image/small
input: image
slots:
  stem:   {from: input, blocks: [{vision.conv_stem: {kernel: 3}}], width: [4, 7], stride: 2}
  stage1: {from: stem, blocks: [vision.residual], width: [6, 9], depth: [1, 2]}
output: stage1
"""
SEARCH = ["search", "--space", "small.yaml", "--name", "done", "--seed", "4", "--objective", "error"]
SEARCH += ["--objective", "macs", "--epochs", "2", "--trials", "6", "--set", "evaluation.anchors=1"]
SEARCH += ["--set", "training.validation_samples=32"]


@pytest.fixture(scope="module")
def finished(commands: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a folder with a finished run in ``runs/done``."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "small.yaml").write_text(SPACE)
    commands.run(folder, SEARCH)
    return folder


def stamps(folder: Path, pattern: str) -> dict[Path, int]:
    """When each file that fits was last written; files may vanish meanwhile."""
    found = {}
    for path in folder.glob(pattern):
        try:
            found[path] = path.stat().st_mtime_ns
        except FileNotFoundError:
            continue
    return found


VARYING = {"seconds", "sha256"}
"""Times, and digests of safetensors files, whose headers are in no fixed order."""


def kill_after(commands: Any, folder: Path, arguments: list[str], pattern: str, delay: float) -> bool:
    """Starts a command and kills it a moment after a file that fits has changed; tells whether it still ran."""
    before = stamps(folder, pattern)
    commands.start(folder, arguments)
    while commands.running() and not set(stamps(folder, pattern).items()) - set(before.items()):
        time.sleep(0.002)
    time.sleep(delay)
    code = commands.kill()
    assert code in (0, -signal.SIGKILL), (folder / "log").read_text()
    return code != 0


def content(path: Path) -> Any:
    """What a file says, without what depends on time and place."""
    if path.suffix == ".json":
        return timeless(json.loads(path.read_text()))
    if path.suffix == ".safetensors":
        return {name: tensor.tolist() for name, tensor in safetensors.torch.load_file(path).items()}
    if path.suffix == ".ckpt":
        stored = plain(torch.load(path, weights_only=True))
        return timeless({**stored["state"], "history": json.loads(stored["state"]["history"])})
    return path.read_bytes() if path.suffix == ".yaml" else None


def plain(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.tolist()
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items()}
    return [plain(entry) for entry in value] if isinstance(value, list | tuple) else value


def timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: timeless(entry) for key, entry in value.items() if key not in VARYING}
    return [timeless(entry) for entry in value] if isinstance(value, list) else value


STITCH = ["stitch", "run:done#best:macs", "run:done#best:error", "--epochs", "2", "--name", "between"]
STITCH += ["--last-stage", "--to", "safetensors", "--set", "training.validation_samples=32"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "moments"),
    [
        (
            ["rank-check", "done", "--subnets", "3", "--epochs", "2"],
            ["runs/done/standalone/*/*/training.ckpt", "runs/done/standalone/*/*.json"],
        ),
        (
            ["prune", "done", "--pick", "best:error", "--sparsity", "0.8", "--epochs", "3", "--to", "safetensors"],
            ["runs/done/tickets/*/training.ckpt", "runs/done/tickets/*/ticket.safetensors"],
        ),
        (
            ["assemble", "done", "--constraint", "params<=2k", "--classes", "0,1,2", "--to", "safetensors"],
            ["runs/done/assembler/survey.safetensors", "runs/done/assembler/params.safetensors"],
        ),
        (STITCH, ["runs/between/training.ckpt", "runs/between/ledger.log"]),
    ],
    ids=["rank-check", "prune", "assemble", "stitch"],
)
def test_a_command_that_is_killed_and_given_again_leaves_what_an_undisturbed_one_does(
    arguments: list[str], moments: list[str], commands: Any, finished: Path, tmp_path: Path
) -> None:
    calm, rough = (shutil.copytree(finished, tmp_path / name) for name in ("calm", "rough"))
    commands.run(calm, arguments)
    rng = random.Random(7)
    assert sum(kill_after(commands, rough, arguments, m, rng.uniform(0, 0.15)) for m in moments)
    commands.run(rough, arguments)

    names = [{str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()} for folder in (calm, rough)]
    assert names[0] == names[1]
    assert not [name for name in names[1] if re.search(r"partial|replaced", name)]
    different = [name for name in sorted(names[0]) if content(calm / name) != content(rough / name)]
    assert not different
