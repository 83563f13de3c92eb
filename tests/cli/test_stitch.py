from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import save_file

Automl = Callable[..., Any]

NETS = """
import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.linear = nn.Linear(width, width)

    def forward(self, x):
        return x + torch.relu(self.linear(x))


def net(width=6, depth=3, classes=10, pixels=64):
    blocks = [Block(width) for _ in range(depth)]
    return nn.Sequential(nn.Flatten(), nn.Linear(pixels, width), *blocks, nn.Linear(width, classes))


def small():
    return net(5)


def large():
    return net(21)


def wide_output():
    return net(21, classes=7)


def other_input():
    return net(21, pixels=49)


def plain():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))


def text():
    return "no module"


def breaks():
    raise ValueError("out of paint")
"""


@pytest.fixture
def nets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Writes a module of the user's and weights of each of its networks; returns the module's name."""
    name = f"nets_{abs(hash(tmp_path)) % 10**9}"
    (tmp_path / f"{name}.py").write_text(NETS)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    namespace: dict[str, Any] = {}
    exec(NETS, namespace)
    torch.manual_seed(0)
    for factory in ("small", "large", "wide_output", "other_input", "plain"):
        save_file(namespace[factory]().state_dict(), tmp_path / f"{factory}.safetensors")
    return name


SHORT = ("--epochs", "1", "--set", "training.validation_samples=40", "--set", "evaluation.anchors=1")


@pytest.mark.slow
def test_two_members_of_a_run_become_many_networks_one_of_them_exported(automl: Automl, tmp_path: Path) -> None:
    space = {
        "space": "digits/residual",
        "input": "image",
        "slots": {
            "stem": {"from": "input", "blocks": [{"vision.conv_stem": {"kernel": 3}}], "width": [8, 16], "stride": 2},
            "body": {"from": "stem", "blocks": [{"vision.residual": {"branch": "basic"}}], "depth": [2, 4]},
        },
        "output": "body",
    }
    (tmp_path / "space.yaml").write_text(yaml.safe_dump(space))
    objectives = ("--objective", "error", "--objective", "macs")
    ended = automl(
        "search", "--space", "space.yaml", "--name", "base", "--seed", "3", "--trials", "4", *objectives, *SHORT
    )
    assert ended.code == 0, ended.err
    members = json.loads(Path("runs/base/front.json").read_text())["members"]
    assert len(members) > 1

    command = ("stitch", "run:base#0", f"run:base#{len(members) - 1}", "--name", "st", "--to", "safetensors", *SHORT)
    ended = automl(*command)
    assert ended.code == 0, ended.err
    assert "stitches have a lower error than the line between the 2 anchors" in ended.out
    exports = list(Path("runs/st/exports").glob("*/*.safetensors"))
    assert len(exports) == 1
    written = yaml.safe_load(Path("runs/st.yaml").read_text())
    assert written["kind"] == "stitched"
    assert [anchor["member"] for anchor in written["anchors"]]
    job = yaml.safe_load(Path("runs/st/job.yaml").read_text())
    assert (job["seed"], job["strategy"]) == (3, "stitch-joint")

    shown = automl("front", "st", "--json").json["stitching"]
    anchors = [row for row in shown["rows"] if ">" not in row["stitch"]]
    assert [row["stitch"] for row in anchors] == ["a", "b"]
    assert shown["stitches"] == len(shown["rows"]) - 2 > 0
    assert "Stitches beside their anchors" in Path("runs/st/report.html").read_text()
    assert str(len(shown["rows"])) in automl("spaces", "runs/st.yaml").out

    before = Path("runs/st/supernet.safetensors").read_bytes()
    again = automl(*command, "--json")
    assert [list(one["files"]) for one in again.json["exports"]] == [["safetensors"]]
    assert again.code == 0, again.err
    assert "Going on with the run in runs/st" in again.err
    assert Path("runs/st/supernet.safetensors").read_bytes() == before

    stitched_again = automl("stitch", str(exports[0].parent), "run:base#0", "--name", "st2", "--pick", "none", *SHORT)
    assert stitched_again.code == 0, stitched_again.err

    for arguments, message in (
        (("--seed", "4"), r"samples that this job validates or tests on; give the job the seed"),
        (("--data", "more.npz"), "more.npz"),
    ):
        ended = automl("stitch", "run:base#0", f"run:base#{len(members) - 1}", "--name", "no", *arguments, *SHORT)
        assert ended.code == 2
        assert message in ended.err
    Path("runs/base/supernet.safetensors").write_bytes(b"changed")
    assert "holds other anchors or options, or an anchor has changed since" in automl(*command).err


def test_modules_of_the_user_are_anchors(automl: Automl, nets: str) -> None:
    anchors = [f"{nets}:{name}={name}.safetensors" for name in ("small", "large")]
    wrong = automl("stitch", anchors[0], f"{nets}:plain=plain.safetensors", "--data", "digits", "--name", "own")
    assert wrong.code == 2  # and is in nobody's way
    ended = automl("stitch", *anchors, "--data", "digits", "--name", "own", "--pick", "none", "--json", *SHORT)
    assert ended.code == 0, ended.err
    rows = ended.json["front"]["stitching"]["rows"]
    assert {row["stitch"] for row in rows} >= {"a", "b", "a:0.0>b:0.0", "a:0.1>b:0.2"}
    assert automl("check", "runs/own.yaml", "--json").json["architectures"] == 2 + 4 + 3


@pytest.mark.parametrize(
    ("anchors", "message"),
    [
        (["run:nothing#0", "{nets}:large=large.safetensors"], "no run is called 'nothing'"),
        (["nowhere", "{nets}:large=large.safetensors"], "'nowhere' is no anchor: write run:NAME#MEMBER"),
        (["{nets}:large=large.safetensors"], "stitching needs at least two anchors, got 1"),
        (["{nets}:large=large.safetensors"] * 2, "is the same network as"),
        (["{nets}:zzz=small.safetensors", "{nets}:large=large.safetensors"], "no function 'zzz' there. Valid: "),
        (
            ["{nets}:small=gone.safetensors", "{nets}:large=large.safetensors"],
            "gone.safetensors: no such file of weights",
        ),
        (
            ["{nets}:smal=small.safetensors", "{nets}:large=large.safetensors"],
            "no function 'smal' there. Did you mean 'small'",
        ),
        (["no_such_module:f=small.safetensors", "{nets}:large=large.safetensors"], "cannot import 'no_such_module'"),
        (
            ["{nets}:text=small.safetensors", "{nets}:large=large.safetensors"],
            "gives str, expected a torch.nn.Module",
        ),
        (["{nets}:breaks=small.safetensors", "{nets}:large=large.safetensors"], "ValueError: out of paint"),
        (
            ["{nets}:small=large.safetensors", "{nets}:large=large.safetensors"],
            "large.safetensors: the weights do not fit the network: 1.weight has the shape (21, 64), not (5, 64)",
        ),
        (
            ["{nets}:small=small.safetensors", "{nets}:wide_output=wide_output.safetensors"],
            "it gives (2, 7), but this task has 10 outputs",
        ),
        (
            ["{nets}:small=small.safetensors", "{nets}:other_input=other_input.safetensors"],
            "it does not take the inputs of this task, (2, 1, 8, 8)",
        ),
        (
            ["{nets}:small=small.safetensors", "{nets}:plain=plain.safetensors"],
            "it cannot be split into blocks: no nn.Sequential or nn.ModuleList",
        ),
        (["{nets}:small={nets}.py", "{nets}:large=large.safetensors"], "damaged or no safetensors file"),
    ],
)
def test_mistakes_are_one_line(automl: Automl, nets: str, anchors: list[str], message: str) -> None:
    ended = automl("stitch", *(anchor.format(nets=nets) for anchor in anchors), "--data", "digits", "--name", "bad")
    assert ended.code == 2
    assert message in ended.err
    assert "Traceback" not in ended.err
    assert len(ended.err.strip().splitlines()) <= 2  # that a run starts, and the message
    assert not Path("runs/bad").exists()


def test_a_space_file_names_line_and_key_of_a_mistake(automl: Automl, nets: str, tmp_path: Path) -> None:
    good = [f"{nets}:{name}={name}.safetensors" for name in ("small", "large")]

    def check(**changes: Any) -> str:
        content = {"kind": "stitched", "space": "digits/mine", "anchors": good, **changes}
        (tmp_path / "mine.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
        ended = automl("check", "mine.yaml")
        assert ended.code == (0 if not changes else 2), ended.err
        return str(ended.err)

    check()
    assert "mine.yaml:1: kind: unknown space-kind 'stiched'. Did you mean 'stitched'?" in check(kind="stiched")
    assert "kernle: unknown option 'kernle'. Did you mean 'kernel'?" in check(kernle=3)
    assert "anchors.1" in check(anchors=[good[0], {"run": "a", "export": "b"}])
    assert "exactly one of 'run', 'export' and 'module'" in check(anchors=[good[0], {"run": "a", "export": "b"}])
    assert "'module' and 'weights' belong together" in check(anchors=[good[0], {"module": f"{nets}:large"}])
    assert "the name 'x' is taken" in check(
        anchors=[{"name": "x", "module": f"{nets}:{n}", "weights": f"{n}.safetensors"} for n in ("small", "large")]
    )
    assert "only.stitch" in check(only={"stitch": ["a:9.9>b:0.0"]})
    changed = {"module": f"{nets}:large", "weights": "large.safetensors", "sha256": "0" * 64}
    assert "the weights are not those that were stitched" in check(anchors=[good[0], changed])


def test_stitching_that_fails_before_its_run_leaves_no_space_file(automl: Automl, nets: str) -> None:
    anchors = [f"{nets}:{name}={name}.safetensors" for name in ("small", "wide_output")]
    ended = automl("stitch", *anchors, "--data", "digits", "--name", "broken", *SHORT)
    assert ended.code == 2, ended.err
    assert not Path("runs/broken.yaml").exists()
    assert not Path("runs/broken").exists()


def test_space_file_of_another_run_comes_back_after_a_failure(automl: Automl, nets: str) -> None:
    Path("runs").mkdir()
    Path("runs/broken.yaml").write_text("mine\n")
    anchors = [f"{nets}:{name}={name}.safetensors" for name in ("small", "wide_output")]
    assert automl("stitch", *anchors, "--data", "digits", "--name", "broken", *SHORT).code == 2
    assert Path("runs/broken.yaml").read_text() == "mine\n"
