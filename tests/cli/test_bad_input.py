"""Each mistake of a user: exit code 2, one clear message on standard error, no traceback, nothing written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CASES: list[tuple[str, str]] = [
    # command line
    ("frnt", "No such command 'frnt'. Did you mean 'front'?"),
    ("search --trals 3", "--trials"),
    ("search --trials 0", "'--trials'"),
    ("search --trials -5", "'--trials'"),
    ("search --trials many", "'--trials'"),
    ("search --epochs 0", "'--epochs'"),
    ("search --seed -1", "'--seed'"),
    ("search a.yaml b.yaml", "unexpected extra argument"),
    ("front", "Missing argument 'RUN'"),
    ("schema runs", "runs"),
    # job
    ("search --time-budget 10q", "job.time_budget: '10q' is not valid: '10q' is no duration"),
    ("search --time-budget -10s", "is no duration"),
    ("search --time-budget 0", "a duration must be positive"),
    ("search --set epochs=3", "unknown setting 'epochs'"),
    ("search --set trainings.epochs=3", "Did you mean 'training'"),
    ("search --set training.epoch=3", "unknown option 'epoch'. Did you mean 'epochs'"),
    ("search --set training", "write it as key=value"),
    ("search --set training.epochs=[1", "--set training.epochs=[1: the value is not valid YAML"),
    ("search --set training.epochs=none", "job.training.epochs: 'none' is not valid"),
    ("search missing.yaml", "missing.yaml: no such file"),
    ("search broken.yaml", "broken.yaml:3: not valid YAML"),
    ("search typo.yaml", "typo.yaml:2: trails: unknown option 'trails'. Did you mean 'trials'"),
    ("search list.yaml", "list.yaml: a job is a mapping"),
    ("search --objective error --objective error", "error is named twice"),
    ("search --name a/b", "--name 'a/b': a name becomes a folder"),
    ("search --name ..", "--name '..': a name becomes a folder"),
    ("search --patience 0", "'--patience'"),
    ("search --patience -3", "'--patience'"),
    ("search --patience 10 --gain 0", "job.patience.gain: 0 is not valid: input should be greater than 0"),
    ("search --patience 10 --gain 100%", "job.patience.gain: 1.0 is not valid: input should be less than 1"),
    ("search --gain -1%", "job.patience.gain"),
    ("search --gain x%", "'x%' is no share; write it like 0.001 or 0.1%"),
    ("search --set patience.trials=0", "job.patience.trials"),
    ("search --set failures_in_a_row=0", "job.failures_in_a_row"),
    ("search --set trials=-1", "job.trials"),
    ("search --candidates finalists", "name 'subnets', too"),
    ("search --candidates subnets,finalist", "finalist"),
    ("search --set finalists.members=0", "job.finalists.members: 0 is not valid"),
    ("search --set finalists.weight=new", "job.finalists.weight: unknown option 'weight'. Did you mean 'weights'"),
    ("search --set finalists.weights=old", "job.finalists.weights: 'old' is not valid"),
    (
        "search --candidates subnets,finalists --set finalists.training.epoch=3",
        "finalists.training.epoch: unknown option 'epoch'. Did you mean 'epochs'",
    ),
    # components
    ("search --space image/tny", "unknown space 'image/tny'. Did you mean 'image/tiny'"),
    ("search --searcher evolutoin", "unknown searcher 'evolutoin'. Did you mean 'evolution'"),
    ("search --strategy sandwitch", "unknown strategy 'sandwitch'. Did you mean 'sandwich'"),
    ("search --objective latencey", "unknown objective 'latencey'. Did you mean 'latency'"),
    ("search --task image-clasification", "unknown task 'image-clasification'. Did you mean 'image-classification'"),
    ("search --constraint latency<=2kg", "kg"),
    ("search --constraint latencey<=2ms", "unknown objective 'latencey'. Did you mean 'latency'"),
    ("search --constraint params<=10k --constraint params>=20k", "contradict each other: no value of 'params'"),
    ("search --constraint 20k<=params<=10k", "params"),
    ("search --constraint error<=1000", "error"),
    ("search --constraint latency", "there is no comparison in it"),
    ("search --data nowhere.npz", "nowhere.npz"),
    ("families --signal imge", "Did you mean 'image'?"),
    ("plugins --kind famly", "Did you mean 'family'?"),
    ("spaces image/tny", "Did you mean 'image/tiny'"),
    ("check nothing", "unknown file, search space or plugin 'nothing'"),
    ("check missing.yaml", "missing.yaml: no such file"),
    ("check broken.yaml", "broken.yaml:3: not valid YAML"),
    ("check typo.yaml", "typo.yaml:2"),
    ("check cycle.yaml", "slots form a cycle"),
    ("init-plugin 1st", "1st"),
    ("init-plugin automl-new --into full", "full: this exists and is not an empty folder"),
    # warm start
    ("search --warm-start don", "warm_start: 'don' is neither a run in runs nor a word. Did you mean 'done'"),
    ("search --warm-start stratifeid", "Did you mean 'stratified'"),
    ("search --warm-start stratified:0", "0 architectures are wanted; it must be at least 1"),
    ("search --warm-start early", "the run runs/early has measured nothing yet"),
    ("search --warm-start done", "the run runs/done is of another space: none of its 3 measured architectures fits"),
    # runs
    ("front don --watch", "no run in runs is called 'don'. Did you mean 'done'"),
    ("front done --watch --json", "--watch and --json exclude each other"),
    ("front done --watch --every 0", "'--every'"),
    ("dashboard don", "Did you mean 'done'"),
    ("dashboard early --port 0", "early/ledger.log: nothing was measured yet"),
    ("dashboard done --port 99999", "'--port'"),
    ("front don", "no run in runs is called 'don'. Did you mean 'done'"),
    ("front full", "full: is not a run folder"),
    ("front early", "the run has no front yet"),
    ("front damaged", "front.json: damaged"),
    ("report don", "Did you mean 'done'"),
    ("report done --pick best:eror", "Did you mean 'best:error'"),
    ("export done --to onx", "--to: unknown exporter 'onx'. Did you mean 'onnx'"),
    ("export done --pick kne", "Did you mean 'knee'"),
    ("measure done --runtime eger", "--runtime: unknown runtime 'eger'. Did you mean 'eager'"),
    # pruning
    ("prune don", "no run in runs is called 'don'. Did you mean 'done'"),
    ("prune early", "early/front.json: no such file; the run has not come that far"),
    ("prune done --pick kne", "Did you mean 'knee'"),
    ("prune done --schedule gradul", "--schedule: unknown compressor 'gradul'. Did you mean 'gradual'"),
    ("prune done --sparsity 1", "sparsity: 1.0 is not valid: must be at least 0 and less than 1"),
    ("prune done --sparsity -0.5", "sparsity: -0.5 is not valid"),
    ("prune done --criterion size", "unknown criterion 'size'. Valid: gradient, magnitude, random"),
    ("prune done --granularity chanel", "unknown granularity 'chanel'. Did you mean 'channel'"),
    ("prune done --granularity 4:2", "granularity: '4:2' must keep some but not all of a group"),
    ("prune done --granularity 2:4 --sparsity 0.9", "0.9 contradicts the granularity '2:4', which leaves out 0.5"),
    ("prune done --scope layers", "unknown scope 'layers'. Did you mean 'layer'"),
    ("prune done --epochs 0", "'--epochs'"),
    ("prune done --set end", "--set end: write it as key=value"),
    ("prune done --set ende=3", "prune: unknown option 'ende'. Did you mean 'end'"),
    ("prune done --set start=3 --set end=2", "end: 2 is not valid: must be after start, 3"),
    ("prune done --set training.epoch=3", "training.epoch: unknown option 'epoch'. Did you mean 'epochs'"),
    ("prune done --to onx", "--to: unknown exporter 'onx'. Did you mean 'onnx'"),
    ("ticket info nowhere.safetensors", "nowhere.safetensors: no such file"),
    ("ticket info typo.yaml", "typo.yaml: damaged, or no ticket"),
    ("ticket apply typo.yaml done", "typo.yaml: damaged, or no ticket"),
    ("ticket draw done", "the supernet of this run was not pruned in its training"),
    ("ticket transfer typo.yaml done --data digits", "typo.yaml: damaged, or no ticket"),
    ("search --set compressor=superticket", "unknown compressor 'superticket'. Did you mean 'supertickets'"),
    ("search --set compressor_options.sparsity=0.5", "compressor_options: there are options, but no compressor"),
    (
        "search --set compressor=supertickets --set compressor_options.interva=2",
        "compressor_options: unknown option 'interva'. Did you mean 'interval'",
    ),
    ("search --name done", "holds the run of another job"),
    ("search --name full --runs .", "full: not empty and not a run folder"),
]

FILES = {
    "broken.yaml": "trials: 3\nobjectives: [error\nseed: 1\n",
    "typo.yaml": "seed: 1\ntrails: 3\n",
    "list.yaml": "- seed\n",
    "cycle.yaml": (
        "space: image/cycle\ninput: image\nslots:\n  a: {from: b, blocks: ['*']}\n  b: {from: a, blocks: ['*']}\noutput: b\n"
    ),
    "full/notes.txt": "mine",
    "runs/early/job.yaml": "trials: 3\n",
    "runs/damaged/job.yaml": "trials: 3\n",
    "runs/damaged/front.json": '{"members": [{"id": "ab',
}


def snapshot(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.parametrize(("line", "message"), CASES, ids=[line for line, _ in CASES])
def test_mistake_is_told_with_exit_code_2(
    automl: Callable[..., Any], finished_run: Path, tmp_path: Path, line: str, message: str
) -> None:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    before = snapshot(tmp_path)
    ended = automl(*line.split())
    told = " ".join(ended.err.replace("│", " ").split())
    assert ended.code == 2, ended
    assert message in told
    assert "Traceback" not in ended.err
    assert ended.out == ""
    assert snapshot(tmp_path) == before


def test_unwritable_folder_is_told(automl: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ended = automl("search", "--runs", "file/runs")
    assert ended.code == 2
    assert "file/runs" in ended.err
    assert "Traceback" not in ended.err
