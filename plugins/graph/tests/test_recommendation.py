"""The task of recommendation: checks 7 to 10 of Sheaf4Rec, reading, splitting, sampling, and what learning reaches."""

from __future__ import annotations

import gzip
import itertools
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from automl_graph import plugin
from automl_graph.recommend import Recommendation, bpr_loss, expected_bpr_loss, rank_metrics
from automl_graph.recommend.interactions import holds_interactions, read_interactions
from automl_graph.recommend.sampling import TripleSampler
from automl_graph.recommend.sheaf4rec import Sheaf4Rec
from automl_graph.recommend.signals import Bipartite
from automl_graph.recommend.table import ItemScores, NodeTable
from torch import Tensor, nn

from automl.errors import AutomlError, ConfigError, DataError, SpaceError
from automl.host import Host
from automl.job import run_job
from automl.job_config import JobConfig
from automl.supernet import auxiliary_losses, build_supernet, load_skeleton
from automl.tasks import Batch
from automl.training import FamilyTurns, StepContext

HOST = Host.load(entry_points=False, plugins=[plugin])


def load(data: str = "user-item-blocks", seed: int = 0, **options: Any) -> Recommendation:
    return Recommendation.load(data, seed=seed, options=options)


def test_loss_of_equal_scores_is_log_two_and_constants_do_not_matter() -> None:
    """Check 7."""
    positive, negative = torch.randn(2, 9, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert float(bpr_loss(positive, positive)) == pytest.approx(math.log(2))
    assert float(bpr_loss(positive + 3, negative + 3)) == pytest.approx(float(bpr_loss(positive, negative)))
    start = torch.ones(27, 2, dtype=torch.float64)
    assert float(bpr_loss(positive, positive, start, reg_weight=0.5)) == pytest.approx(math.log(2) + 0.5 / 18 * 54)


def test_expected_loss_is_the_mean_over_all_pairs() -> None:
    scores = torch.tensor([[1.0, 2.0, 4.0, 9.0]])
    relevance = torch.tensor([[1, 0, 0, -1]], dtype=torch.int8)
    expected = (math.log1p(math.exp(1)) + math.log1p(math.exp(3))) / 2
    assert float(expected_bpr_loss(scores, relevance)) == pytest.approx(expected)


def test_seen_item_is_never_recommended_even_if_all_others_have_negative_scores() -> None:
    """Check 8."""
    scores = torch.tensor([[5.0, -3.0, -2.0, -4.0]])
    relevance = torch.tensor([[-1, 1, 0, 0]], dtype=torch.int8)
    metrics = rank_metrics(scores, relevance, 2)
    assert (metrics["recall"], metrics["precision"], metrics["hits"]) == (1.0, 0.5, 1.0)
    assert metrics["ndcg"] == pytest.approx(1 / math.log2(3))


def test_perfect_and_reversed_rankings() -> None:
    """Check 9."""
    relevance = torch.tensor([[1, 1, 1, 0, 0]], dtype=torch.int8)
    scores = torch.tensor([[5.0, 4.0, 3.0, 2.0, 1.0]])
    perfect = rank_metrics(scores, relevance, 2)
    assert (perfect["ndcg"], perfect["recall"]) == (pytest.approx(1.0), pytest.approx(2 / 3))
    worst = rank_metrics(-scores, relevance, 3)
    gains = [1 / math.log2(rank + 1) for rank in (1, 2, 3)]
    assert worst["ndcg"] == pytest.approx(gains[2] / sum(gains))
    assert rank_metrics(-scores, relevance, 2)["ndcg"] == 0


def test_metrics_of_two_users_by_hand() -> None:
    """Check 10: N = 1; user 0 has one hit of two, user 1 none of one."""
    scores = torch.tensor([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0]])
    relevance = torch.tensor([[1, 1, 0], [0, 0, 1]], dtype=torch.int8)
    metrics = rank_metrics(scores, relevance, 1)
    assert (metrics["precision"], metrics["recall"]) == (0.5, 0.25)
    assert metrics["f1"] == pytest.approx(2 * 0.5 * 0.25 / 0.75)  # the mean of both users' F1 would be 1/3 as well ...
    assert metrics["error"] == pytest.approx(2 / 3)
    wider = rank_metrics(scores, relevance, 3)
    assert wider["f1"] == pytest.approx(2 * 0.5 * 1 / 1.5)  # ... and here 0.65 instead of 0.667
    empty = rank_metrics(scores, torch.zeros(2, 3, dtype=torch.int8), 1)
    assert all(math.isnan(value) for value in empty.values())


def test_parts_hold_users_and_items_of_training_only() -> None:
    task = load()
    sizes = {part: len(rows) for part, rows in task.split.items()}
    assert sizes["train"] > 7 * sizes["validation"] > 0
    (validation, *_) = task.batches("validation", 1000)
    (test, *_) = task.batches("test", 1000)
    (train, *_) = task.batches("train", 1000)
    assert int((train.target == 1).sum()) == sizes["train"] == task.edge_index.shape[1] // 2
    assert int((validation.target == 1).sum()) == sizes["validation"]
    assert int((test.target == 1).sum()) == sizes["test"]
    shared = np.intersect1d(validation.inputs[0], test.inputs[0])
    for user in shared:
        row_v, row_t = (batch.target[batch.inputs[0] == int(user)][0] for batch in (validation, test))
        assert (row_t[row_v == 1] == -1).all()  # taken in validation: not recommended in the test
        assert (row_v[train.target[int(user)] == 1] == -1).all()


def test_small_batches_say_the_same_as_large_ones() -> None:
    task = load()
    (whole,) = task.batches("validation", 1000)
    parts = list(task.batches("validation", 7))
    assert torch.equal(torch.cat([batch.target for batch in parts]), whole.target)
    (limited,) = task.batches("validation", 1000, limit=5)
    assert int((limited.target == 1).sum()) == 5


def test_split_follows_the_seed_and_a_stored_one_is_kept() -> None:
    assert load(seed=1).split == load(seed=1).split != load(seed=2).split
    assert Recommendation.load("user-item-blocks", seed=7, split=load(seed=1).split).split == load(seed=1).split
    broken = {**load().split, "train": load().split["train"][:20]}
    with pytest.raises(DataError, match="part 'validation' has users or items that part 'train' lacks"):
        Recommendation.load("user-item-blocks", seed=0, split=broken)


def test_sampler_draws_taken_and_untaken_items() -> None:
    rng = np.random.default_rng(0)
    taken = rng.random((12, 9)) < 0.5
    taken[3] = True  # took everything
    taken[4] = False
    users, items = np.nonzero(taken)
    drawn, triples = TripleSampler(users, items, 9).draw(np.random.default_rng(1), 10, 4)
    assert sorted(drawn.tolist()) == [u for u in range(12) if u not in (3, 4)]  # each once: there are enough
    assert taken[drawn, triples[:, 0]].all()
    assert not taken[drawn[:, None], triples[:, 1:]].any()
    many, _ = TripleSampler(users, items, 9).draw(np.random.default_rng(1), 50, 1)
    assert len(many) == 50


def table(path: Path, text: str) -> Path:
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


def archive(folder: Path, **arrays: Any) -> Path:
    np.savez(folder / "a.npz", **arrays)
    return folder / "a.npz"


def rows(separator: str, count: int = 40) -> str:
    lines = [separator.join(("user_id:token", "item_id:token", "rating:float"))]
    return "\n".join([*lines, *(separator.join((f"u{n % 8}", f"i{n % 5}", str(n % 5 + 1))) for n in range(count))])


def test_files_of_all_kinds_are_read(tmp_path: Path) -> None:
    for name, separator in (("a.csv", ","), ("a.tsv", "\t"), ("a.inter.gz", "\t")):
        path = table(tmp_path / name, rows(separator))
        assert holds_interactions(path)
        assert len(read_interactions(path, min_rating=None).users) == 40
        kept = read_interactions(path, min_rating=3)
        assert set(kept.items.tolist()) == {"i2", "i3", "i4"}
    users, items = np.arange(40) % 8, np.arange(40) % 5
    np.savez(tmp_path / "pairs.npz", users=users, items=items)
    np.savez(tmp_path / "parts.npz", train=np.stack([users, items], 1)[:30], test=np.stack([users, items], 1)[30:])
    for name in ("pairs.npz", "parts.npz"):
        assert holds_interactions(tmp_path / name)
        assert read_interactions(tmp_path / name, min_rating=None).fingerprint
    assert not holds_interactions(tmp_path)
    assert not holds_interactions(table(tmp_path / "other.csv", "x,y\n1,2\n"))


def test_a_part_for_the_test_is_kept_unless_asked_otherwise(tmp_path: Path) -> None:
    pairs = np.stack(np.meshgrid(np.arange(9), np.arange(8), indexing="ij"), -1).reshape(-1, 2)
    given = np.random.default_rng(1).permutation(72)[:20]
    rest = np.delete(np.arange(72), given)
    both = np.concatenate([pairs[given], pairs[rest[:2]]])  # two of them are in both arrays, so they are trained on
    path = archive(tmp_path, train=pairs[rest], test=both)
    for seed in (1, 2):
        task = load(str(path), seed=seed, validation=0.2)
        assert task.split["test"] == sorted(given.tolist())  # pairs are numbered in order
        assert len(task.split["validation"]) == round(0.2 * 72)
        assert sorted(task.split["train"] + task.split["validation"]) == rest.tolist()
    assert load(str(path), seed=1).split["validation"] != load(str(path), seed=2).split["validation"]
    anew = load(str(path), given_split=False).split["test"]
    assert len(anew) == round(0.1 * 72)
    assert set(anew) - set(given.tolist())


def test_pair_that_occurs_twice_counts_once(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", rows(",", 80))
    assert len(read_interactions(path, min_rating=None).users) == 40


BAD: dict[str, tuple[Callable[[Path], Any], type[AutomlError], str]] = {
    "unknown name": (lambda _: load("user-item-block"), DataError, "no such data; .*Did you mean 'user-item-blocks'"),
    "missing file": (lambda p: load(str(p / "no.csv")), DataError, r"no\.csv: no such file"),
    "no column": (
        lambda p: load(str(table(p / "a.csv", "user_id,x\n1,2\n"))),
        DataError,
        "expected one called 'item_id'",
    ),
    "no ratings": (
        lambda p: load(str(table(p / "a.csv", "user,item\n" + "1,2\n" * 20)), min_rating=3),
        DataError,
        "has no ratings",
    ),
    "short row": (lambda p: load(str(table(p / "a.csv", "user,item\n1\n"))), DataError, "row 2 has 1 columns"),
    "too few": (lambda p: load(str(table(p / "a.csv", "user,item\n1,2\n"))), DataError, "has 1 interactions"),
    "words for ratings": (
        lambda p: load(str(table(p / "a.csv", "user,item,rating\n1,2,good\n")), min_rating=3),
        DataError,
        "column 'rating' holds something else than numbers",
    ),
    "columns of unequal length": (
        lambda p: load(str(archive(p, users=np.arange(50) % 7, items=np.arange(40) % 11))),
        DataError,
        r"a\.npz: its columns have the shapes 'users' \(50,\), 'items' \(40,\)",
    ),
    "ratings of unequal length": (
        lambda p: load(str(archive(p, users=np.arange(50) % 7, items=np.arange(50) % 11, ratings=np.ones(3)))),
        DataError,
        r"'ratings' \(3,\); expected one entry",
    ),
    "a table for users": (
        lambda p: load(str(archive(p, users=np.ones((50, 2)), items=np.arange(50) % 11))),
        DataError,
        r"'users' \(50, 2\)",
    ),
    "user that is not a number": (
        lambda p: load(str(archive(p, users=np.r_[np.arange(49.0) % 7, np.nan], items=np.arange(50) % 11))),
        DataError,
        "'users' has 1 entries that are not finite, the first at interaction 49",
    ),
    "rating that is not a number": (
        lambda p: load(str(table(p / "a.csv", "user,item,rating\n1,2,3\n1,3,nan\n")), min_rating=3),
        DataError,
        "'ratings' has 1 entries that are not finite, the first at interaction 1",
    ),
    "ratings as text": (
        lambda p: load(str(archive(p, users=np.arange(50), items=np.arange(50), ratings=np.array(["a"] * 50)))),
        DataError,
        "'ratings' holds <U1; expected real numbers",
    ),
    "no rating is large enough": (
        lambda p: load(str(table(p / "a.csv", rows(","))), min_rating=9),
        DataError,
        r"no rating is at least 9 \('min_rating'\); the largest is 5",
    ),
    "nobody again": (
        lambda p: load(str(archive(p, users=np.arange(50), items=np.arange(50) % 11))),
        DataError,
        "none of the 5 interactions of validation has a user and an item that occur in training",
    ),
    "unknown option": (lambda _: load(rating=3), ConfigError, r"task options\.rating: unknown option"),
    "shares too large": (lambda _: load(validation=0.5, test=0.5), ConfigError, "leave nothing to train on"),
}


@pytest.mark.parametrize(("call", "kind", "message"), BAD.values(), ids=BAD)
def test_mistakes_are_named(tmp_path: Path, call: Callable[[Path], Any], kind: type[AutomlError], message: str) -> None:
    with pytest.raises(kind, match=message):
        call(tmp_path)


class Fixed(nn.Module):
    """Scores every item the same for all users."""

    def __init__(self, scores: Tensor) -> None:
        super().__init__()
        self.scores = scores

    def forward(self, users: Tensor, edge_index: Tensor) -> Tensor:
        return self.scores.expand(len(users), -1)


class Network(nn.Module):
    """Table, one block, scores."""

    def __init__(self, task: Recommendation, block: nn.Module, width: int) -> None:
        super().__init__()
        self.parts = nn.Sequential(NodeTable(task.input_width, width), block, ItemScores(task.outputs))

    def forward(self, users: Tensor, edge_index: Tensor) -> Tensor:
        scores: Tensor = self.parts(Bipartite(users, edge_index))
        return scores


def trained(task: Recommendation, block: nn.Module, steps: int, width: int) -> tuple[list[float], nn.Module]:
    """Trains as the paper does, with a regulariser of weight 1 on the vectors of the table."""
    model = Network(task, block, width)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for batch in itertools.islice(task.train_batches(np.random.default_rng(0), 256), steps):
        optimiser.zero_grad()
        scores = model(*batch.inputs).gather(1, batch.target)
        nodes = torch.cat([batch.inputs[0], (batch.target + task.user_count).flatten()])
        loss = bpr_loss(scores[:, :1], scores[:, 1:], model.parts[0].table(nodes), reg_weight=1.0)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(bpr_loss(scores[:, :1], scores[:, 1:]).item())
    return losses, model


@pytest.mark.slow
def test_sheaf_learns_blocks_better_than_popularity() -> None:
    """The small real run: below ln 2 early, then clearly above popularity."""
    task = load(steps_per_epoch=320)
    torch.manual_seed(0)
    losses, model = trained(task, Sheaf4Rec(32, 32, layers=3, map_type="scalar"), 320, 32)
    assert min(losses[:40]) < math.log(2)
    popularity = Fixed(torch.bincount(task.edge_index[1])[task.user_count :].float())
    for part in ("validation", "test"):
        assert task.evaluate(model, part, 1000)["f1"] > 1.5 * task.evaluate(popularity, part, 1000)["f1"]  # type: ignore[arg-type]


@pytest.mark.skipif(
    not os.environ.get("AUTOML_SHARED_DATA"), reason="needs the folder of shared data sets in AUTOML_SHARED_DATA"
)
def test_movielens_and_lastfm_can_be_read() -> None:
    shared = Path(os.environ["AUTOML_SHARED_DATA"])
    movies = load(str(shared / "movielens_100k" / "ml-100k.inter.gz"), min_rating=3)
    assert sum(len(part) for part in movies.split.values()) > 82_000
    music = load(str(shared / "lastfm" / "lastfm.npz"))
    assert music.outputs > 1000
    assert 9_000 < len(music.split["test"]) <= 10_533


def test_job_finds_a_front_with_ranking_objectives(tmp_path: Path) -> None:
    job = JobConfig(
        space="bipartite/recommend",
        data="user-item-blocks",
        objectives=["ndcg-loss", "macs"],
        trials=4,
        training={"epochs": 1},
    )
    front = run_job(job, tmp_path / "run", host=HOST).read_json("front.json")
    assert front["trials"]["failed"] == 0
    for member in front["members"]:
        assert 0 <= member["searched"]["ndcg-loss"] <= 1
        assert 0 <= member["test"]["error"] <= 1


@pytest.mark.parametrize(("space", "data"), [("bipartite/recommend", "user-item-blocks"), ("graph/level", "4-cycles")])
def test_a_metric_that_a_task_lacks_is_refused_before_the_training(tmp_path: Path, space: str, data: str) -> None:
    job = JobConfig(space=space, data=data, objectives=["auc-error", "macs"], trials=2, training={"epochs": 1})
    with pytest.raises(ConfigError, match=r"does not measure 'auc-error', only 'error'"):
        run_job(job, tmp_path / "run", host=HOST)
    assert not (tmp_path / "run").exists()


def test_ranking_objective_refuses_another_task(tmp_path: Path) -> None:
    job = JobConfig(
        space="graph/node", data="karate", objectives=["ndcg-loss", "macs"], trials=2, training={"epochs": 1}
    )
    with pytest.raises(ConfigError, match="'ndcg-loss' rates ranked lists"):
        run_job(job, tmp_path / "run", host=HOST)
    assert not (tmp_path / "run").exists()  # before a training


FAMILIES = ("graph.factorisation", "graph.lightgcn", "graph.sheaf4rec")
SPACE = """
space: own
input: bipartite
slots:
  table: {from: input, blocks: [graph.table: {reg_weight: %s}], width: [3, 5]}
  message: {from: table, blocks: [%s]}
output: message
"""


def step_of(folder: Path, family: str, reg_weight: float, batch: Batch | None = None) -> StepContext:
    """A step of a job with random weights, on six users with two negatives each unless a batch is given."""
    (folder / "own.yaml").write_text(SPACE % (reg_weight, family))
    task = load(negatives=2)
    torch.manual_seed(0)
    supernet = build_supernet(load_skeleton(str(folder / "own.yaml"), HOST), task, HOST).double().train()
    with torch.no_grad():
        supernet.get_parameter("network.table.blocks.0.table.weight").normal_()
    return StepContext(
        supernet=supernet,
        task=task,
        batch=next(task.train_batches(np.random.default_rng(1), 6)) if batch is None else batch,
        rng=np.random.default_rng(2),
        turn=FamilyTurns(supernet).draw(np.random.default_rng(2)),
        label_smoothing=0.0,
        progress=0.0,
        validation=list,
        forward=supernet,
        backward=torch.autograd.backward,
    )


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("smallest", [True, False])
def test_a_job_adds_the_l2_term_of_the_vectors_in_the_batch(tmp_path: Path, family: str, smallest: bool) -> None:
    step = step_of(tmp_path, family, 0.7)
    architecture = step.smallest if smallest else step.largest
    table = step.supernet.get_parameter("network.table.blocks.0.table.weight")
    outputs = step.forward(architecture)
    step.backward(step.loss(outputs))
    assert table.grad is not None
    found, gradient = step.loss(outputs).detach(), table.grad.clone()
    step.supernet.zero_grad()
    users, items = step.batch.inputs[0], step.batch.target
    assert items.shape == (6, 3)
    width = int(architecture["table.width"])
    nodes = [*users.tolist(), *(298 + item for item in items.flatten().tolist())]  # 298 users, then the items
    start = torch.stack([table[node, :width] for node in nodes])
    scores = step.supernet(*step.batch.inputs).gather(1, items)
    expected = bpr_loss(scores[:, :1], scores[:, 1:], start, 0.7)
    torch.testing.assert_close(found, expected.detach())
    assert float(found) > float(bpr_loss(scores[:, :1], scores[:, 1:]).detach()) + 0.1
    expected.backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(gradient, table.grad)


@pytest.mark.parametrize("family", FAMILIES)
def test_without_a_weight_the_loss_is_that_of_the_scores(tmp_path: Path, family: str) -> None:
    step = step_of(tmp_path, family, 0.0)
    outputs = step.forward(step.largest)
    scores = outputs.gather(1, step.batch.target)
    assert torch.equal(step.loss(outputs), bpr_loss(scores[:, :1], scores[:, 1:]))


def test_the_l2_term_is_part_of_training_steps_alone(tmp_path: Path) -> None:
    (held_out, *_) = load().batches("validation", 6)
    step = step_of(tmp_path, "graph.lightgcn", 0.7, held_out)
    outputs = step.forward(step.largest)
    assert torch.equal(step.loss(outputs), load().loss(outputs, held_out))  # every item is in it, none is drawn
    training = step_of(tmp_path, "graph.lightgcn", 0.7)
    outputs = training.supernet(*training.batch.inputs)
    assert torch.equal(training.loss(outputs), load().loss(outputs, training.batch))
    extracted = training.supernet.eval().extract(training.largest)
    with auxiliary_losses(training.batch) as losses:
        extracted(*training.batch.inputs)
    assert not losses


@pytest.mark.parametrize("wrong", [-0.1, math.inf, math.nan, True, "much"])
def test_unusable_weights_of_the_l2_term_are_refused(wrong: Any) -> None:
    with pytest.raises(SpaceError, match=r"reg_weight: .* is not a finite number of at least 0"):
        NodeTable(5, 3, reg_weight=wrong, user_count=2)
    with pytest.raises(SpaceError, match="reg_weight: needs a task that tells which nodes are users"):
        NodeTable(5, 3, reg_weight=0.1)
