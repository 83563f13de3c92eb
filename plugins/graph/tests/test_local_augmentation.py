"""What the generator learns, how it enters a network, and the consistency of answers."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from automl_graph.blocks import GCN, LocalAugmentation
from automl_graph.data import load_planetoid
from automl_graph.local_augmentation import (
    AugmentedLayer,
    Generator,
    GeneratorOptions,
    SnapshotJudge,
    cached_generator,
    consistency_loss,
    load_generator,
    sharpened,
    train_generator,
    train_snapshots,
    u_score,
)
from automl_graph.local_augmentation.strategy import Consistency
from automl_graph.local_augmentation.train import Encoder, divergence, neighbour_pairs, reconstruction_loss
from automl_graph.signal import Graph
from automl_graph.tasks import GraphClassification, NodeClassification
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from automl.errors import ConfigError, DataError, SpaceError
from automl.host import Host
from automl.job import run_job
from automl.job_config import JobConfig
from automl.supernet import Supernet, build_supernet, load_skeleton

SMALL = GeneratorOptions(latent=3, hidden=17, steps=5, batch_size=8)


def star(leaves: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    """A hub (node 0) whose features are the opposite of those of its leaves."""
    x = torch.zeros(leaves + 1, 6)
    x[0, :3], x[1:, 3:] = 1.0, 1.0
    both = torch.stack([torch.zeros(leaves, dtype=torch.int64), torch.arange(1, leaves + 1)])
    return x, torch.cat([both, both.flip(0)], dim=1)


def test_pairs_are_all_directed_edges_without_self_loops_centre_first() -> None:
    edges = torch.tensor([[0, 1, 2, 2], [1, 0, 2, 0]])
    centre, neighbour = neighbour_pairs(edges)
    assert centre.tolist() == [1, 0, 0]
    assert neighbour.tolist() == [0, 1, 2]


def test_cora_has_as_many_pairs_as_directed_edges(shared_data: Path) -> None:
    """Check 1."""
    graph = load_planetoid(shared_data / "planetoid" / "cora").finish()
    assert len(neighbour_pairs(graph.edge_index)[0]) == 10556


def test_generator_writes_the_neighbour_and_not_the_node() -> None:
    x, edges = star()
    generator, record = train_generator(
        x, edges, GeneratorOptions(hidden=32, steps=300, batch_size=32, learning_rate=0.01)
    )
    made = generator(x)
    torch.testing.assert_close(made[0], x[1], rtol=0, atol=0.05)  # the hub sees leaves
    torch.testing.assert_close(made[1], x[0], rtol=0, atol=0.05)
    # Neighbours follow from the centre, so nothing is left for the latent numbers to say, and the monitor shows it.
    assert record.deviation < 0.02
    assert record.kl < 0.1


def test_generated_features_resemble_the_mean_neighbour_of_the_same_node() -> None:
    generator_of = torch.Generator().manual_seed(0)
    kind = torch.arange(60) % 4
    x = (torch.rand(4, 9, generator=generator_of)[kind] + 0.05 * torch.rand(60, 9, generator=generator_of)).clamp(0, 1)
    ends = torch.randint(60, (2, 900), generator=generator_of)
    ends = ends[:, (kind[ends[0]] + 1) % 4 == kind[ends[1]]]  # neighbours are of another kind
    generator, _ = train_generator(x, ends, GeneratorOptions(hidden=32, steps=400, batch_size=64, learning_rate=0.01))
    means = torch.zeros(60, 9).index_add(0, ends[1], x[ends[0]]) / torch.bincount(ends[1], minlength=60)[:, None]
    made = generator(x)
    same = torch.cosine_similarity(made, means).mean()
    assert same > 0.98
    assert same > torch.cosine_similarity(made, means[torch.randperm(60, generator=generator_of)]).mean() + 0.05
    assert same > torch.cosine_similarity(x, means).mean() + 0.05


def test_draws_differ_in_training_only_and_pass_no_gradient() -> None:
    """Check 5; the weights of this generator want gradients, and get none."""
    generator = Generator(5, SMALL)
    assert all(parameter.requires_grad for parameter in generator.parameters())
    x = torch.rand(4, 5, requires_grad=True)
    assert not torch.equal(generator(x), generator(x))
    assert not generator(x).requires_grad
    generator.eval()
    assert torch.equal(generator(x), generator(x))
    expected = torch.stack([generator.decode(z.expand(4, -1), x) for z in generator.fixed]).mean(0)
    torch.testing.assert_close(generator(x), expected.detach())


def test_normalised_rows_add_up_to_one_even_if_all_are_zero() -> None:
    generator = Generator(5, GeneratorOptions(latent=3, hidden=17, row_normalise=True))
    torch.testing.assert_close(generator(torch.rand(4, 5)).sum(1), torch.ones(4))
    with torch.no_grad():
        generator.leave.weight.zero_()
        generator.leave.bias.fill_(-200.0)
    assert generator(torch.zeros(3, 5)).isfinite().all()


def test_divergence_is_zero_for_normal_numbers_and_the_loss_is_a_sum_over_pairs() -> None:
    assert not divergence(torch.zeros(3, 4), torch.zeros(3, 4)).any()
    mean, log_variance = torch.randn(2, 3, 4).double()
    drawn = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    expected = torch.distributions.kl_divergence(drawn, torch.distributions.Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(divergence(mean, log_variance), expected)
    logits, wanted = torch.randn(2, 5), torch.rand(2, 5)
    for kind in ("bce", "mse"):
        chosen = GeneratorOptions(reconstruction=kind)  # type: ignore[arg-type]
        twice = reconstruction_loss(logits.repeat(3, 1), wanted.repeat(3, 1), chosen)
        torch.testing.assert_close(twice, reconstruction_loss(logits, wanted, chosen).repeat(3))


def test_encoder_tells_the_neighbour_from_the_centre() -> None:
    encoder, (first, second) = Encoder(5, SMALL), torch.rand(2, 4, 5)
    assert not torch.allclose(encoder(first, second)[0], encoder(second, first)[0])


@pytest.mark.parametrize("copies", [0, 1, 3])
def test_branches_have_weights_of_their_own(copies: int) -> None:
    generator = Generator(5, SMALL).requires_grad_(False)
    layer = AugmentedLayer(generator, lambda: GCN(5, 4, residual=False), copies=copies)
    for parameter in layer.branches.parameters():
        nn.init.uniform_(parameter)  # nothing below zero, so no branch is silent
    learnt = sum(p.numel() for p in layer.parameters() if p.requires_grad)
    assert learnt == (copies + 1) * (5 * 4 + 4)
    graph = Graph(torch.rand(6, 5), torch.randint(6, (2, 11)))
    out = layer.eval()(graph).x
    assert out.shape == (6, (copies + 1) * 4)
    torch.testing.assert_close(out[:, :4], layer.branches[0](graph).x)  # without copies the plain block
    for number in range(1, copies + 1):
        made = layer.branches[number](graph._replace(x=generator(graph.x))).x
        torch.testing.assert_close(out[:, 4 * number : 4 * number + 4], made)
        assert not torch.allclose(made, layer.branches[number](graph).x)


def test_each_copy_is_another_draw() -> None:
    layer = AugmentedLayer(Generator(5, SMALL).requires_grad_(False), nn.Identity, copies=2).train()
    x = torch.rand(6, 5)
    own, first, second = layer(Graph(x, torch.zeros(2, 0, dtype=torch.int64))).x.split(5, dim=1)
    assert torch.equal(own, x)
    assert not torch.equal(first, second)


def test_consistency_is_zero_for_equal_one_hot_answers_and_its_target_gets_no_gradient() -> None:
    certain = torch.eye(3)[[0, 2, 1]]
    assert consistency_loss([certain, certain], 0.5).item() == pytest.approx(0, abs=1e-12)
    logits = torch.randn(4, 3, requires_grad=True)
    answers = [logits.softmax(1), torch.rand(4, 3).softmax(1)]
    loss = consistency_loss(answers, 0.5)
    (found,) = torch.autograd.grad(loss, answers[0])
    target = sharpened((answers[0] + answers[1]).detach() / 2, 0.5)
    torch.testing.assert_close(found, 2 * (answers[0] - target).detach() / (2 * 4))


def test_sharpening_keeps_sums_and_goes_from_the_same_to_the_largest() -> None:
    p = torch.rand(5, 4, generator=torch.Generator().manual_seed(0)).softmax(1).double()
    torch.testing.assert_close(sharpened(p, 1.0), p)
    torch.testing.assert_close(sharpened(p, 0.5), p.square() / p.square().sum(1, keepdim=True))
    torch.testing.assert_close(sharpened(p, 1e-4), torch.eye(4, dtype=torch.float64)[p.argmax(1)])
    torch.testing.assert_close(sharpened(p, 0.3).sum(1), torch.ones(5, dtype=torch.float64))


def test_a_generator_is_trained_once_and_read_back_the_same(tmp_path: Path) -> None:
    x, edges = star(5)
    path = cached_generator(x, edges, tmp_path / "generators", SMALL)
    written = path.stat().st_mtime_ns
    assert cached_generator(x, edges, tmp_path / "generators", SMALL) == path
    assert path.stat().st_mtime_ns == written
    assert cached_generator(x, edges.flip(1), tmp_path / "generators", SMALL) != path
    trained, _ = train_generator(x, edges, SMALL)
    loaded = load_generator(path)
    assert torch.equal(loaded(x), trained(x))
    assert not any(p.requires_grad for p in loaded.parameters())


def test_files_that_are_no_generators_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        load_generator(tmp_path / "absent.safetensors")
    (tmp_path / "text.safetensors").write_text("hello")
    with pytest.raises(DataError, match="is no generator"):
        load_generator(tmp_path / "text.safetensors")


def test_a_network_with_a_generator_extracts_and_exports_the_same_answers(tmp_path: Path) -> None:
    x, edges = star(5)
    path = cached_generator(x, edges, tmp_path, SMALL)
    supernet = Supernet(LocalAugmentation(6, 4, generator=str(path))).eval()
    assert supernet.space.size() == 3
    graph = Graph(x, edges)
    answers = []
    for architecture in supernet.space.enumerate():
        supernet.activate(architecture)
        model = supernet.extract(architecture)
        answers.append(model(graph).x)
        torch.testing.assert_close(answers[-1], supernet(graph).x)
        has = any(isinstance(module, Generator) for module in model.modules())
        assert has == (architecture["mode"] != "none")
        program = torch.export.export(
            _OnTensors(model), (x, edges), dynamic_shapes=({0: torch.export.Dim.DYNAMIC}, None)
        )
        torch.testing.assert_close(program.module()(x[:3], edges), model(Graph(x[:3], edges)).x)
    assert not torch.allclose(answers[0], answers[1])
    with pytest.raises(SpaceError, match="makes 6 features, the input has 5 to 5"):
        LocalAugmentation(5, 4, generator=str(path))


class _OnTensors(nn.Module):
    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: torch.Tensor, edge_index: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.block(Graph(x, edge_index)).x
        return result


def test_the_control_self_is_a_copy_of_the_input() -> None:
    block = LocalAugmentation(5, 4, generator="self", mode="average").eval()
    x = torch.rand(3, 5)
    torch.testing.assert_close(block(Graph(x, torch.zeros(2, 0, dtype=torch.int64))).x, block.own(x))
    noise = LocalAugmentation(5, 4, generator="noise", mode="concat")
    graph = Graph(x, torch.zeros(2, 0, dtype=torch.int64))
    assert not torch.equal(noise(graph).x, noise(graph).x)
    assert torch.equal(noise.eval()(graph).x, noise(graph).x)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"latent": 0}, "latent is 0"),
        ({"kl_weight": -1.0}, "kl_weight is -1"),
        ({"reconstruction": "mae"}, "unknown"),
        ({"selection": "best"}, "unknown"),
    ],
)
def test_unusable_options_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        GeneratorOptions(**wrong)
    with pytest.raises(ConfigError, match="draws is 1"):
        Consistency(draws=1)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 999), runs=st.integers(1, 6), scale=st.floats(0.1, 40))
def test_u_score_is_never_above_zero_and_zero_where_runs_agree(seed: int, runs: int, scale: float) -> None:
    """Check 9."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(runs, 5, 3, generator=generator) * scale
    labels = torch.randint(3, (5,), generator=generator)
    assert u_score(logits, labels) <= 1e-12
    assert u_score(logits[:1].expand(4, -1, -1), labels) == pytest.approx(0, abs=1e-12)


def test_judge_is_zero_without_dropout_and_negative_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check 9, the network that rates."""
    x, edges = star(5)
    nodes, labels = torch.arange(6), torch.tensor([0, 1, 1, 1, 1, 1])
    torch.manual_seed(0)
    judge = SnapshotJudge(x, edges, nodes, labels, runs=9)
    assert judge.score(x) < 0
    monkeypatch.setattr("automl_graph.local_augmentation.snapshot._DROPOUT", 0.0)
    assert judge.score(x) == pytest.approx(0, abs=1e-9)


def rated_in_each_step(
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[torch.Tensor, torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
    """Has a snapshot rated after every step of a generator; returns features, edges, and nodes with their labels."""
    monkeypatch.setattr("automl_graph.local_augmentation.train._EVERY", 1)
    monkeypatch.setattr("automl_graph.local_augmentation.train._EARLIEST", 0)
    x, edges = star(5)
    return x, edges, (torch.tensor([0, 1, 2]), torch.tensor([0, 1, 1]))


def test_labels_of_training_nodes_choose_a_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check 11, the only use of labels; it repeats."""
    x, edges, labelled = rated_in_each_step(monkeypatch)
    rated: list[float] = []
    score = SnapshotJudge.score

    def noted(self: SnapshotJudge, features: torch.Tensor) -> float:
        rated.append(score(self, features))
        return rated[-1]

    monkeypatch.setattr(SnapshotJudge, "score", noted)
    options = GeneratorOptions(latent=3, hidden=17, steps=4, batch_size=8, selection="u_score")
    chosen, _ = train_generator(x, edges, options, labelled)
    again, _ = train_generator(x, edges, options, labelled)
    assert len(rated) == 8
    assert rated[:4] == rated[4:]
    assert all(map(torch.equal, chosen.state_dict().values(), again.state_dict().values()))
    with pytest.raises(ConfigError, match="'u_score' needs 'labelled'"):
        train_generator(x, edges, options)


def test_labels_are_read_by_the_selection_alone() -> None:
    """Check 11."""
    x, edges = star(5)
    plain, record = train_generator(x, edges, SMALL)
    for labels in ([0, 1, 1], [1, 0, 0]):
        given, again = train_generator(x, edges, SMALL, (torch.tensor([0, 1, 2]), torch.tensor(labels)))
        assert all(map(torch.equal, given.state_dict().values(), plain.state_dict().values()))
        assert again == record


def test_the_snapshot_with_the_largest_score_is_kept_and_taught_to_the_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    x, edges, labelled = rated_in_each_step(monkeypatch)
    taught: list[int] = []

    def kept(scores: list[float]) -> Generator:
        left = list(scores)
        monkeypatch.setattr(SnapshotJudge, "score", lambda *_: left.pop(0))
        monkeypatch.setattr(
            SnapshotJudge, "learn", lambda _, x, steps=20: None if steps == 100 else taught.append(len(left))
        )
        options = GeneratorOptions(latent=3, hidden=17, steps=len(scores), batch_size=8, selection="u_score")
        return train_generator(x, edges, options, labelled)[0]

    chosen, second = kept([-3.0, -1.0, -2.0, -4.0]), kept([-3.0, -1.0])
    assert taught == [3, 2, 1, 0]
    assert all(map(torch.equal, chosen.state_dict().values(), second.state_dict().values()))
    last = kept([-3.0, -2.0, -2.0, -1.0])
    assert not torch.equal(last.enter.weight, chosen.enter.weight)


def test_the_weight_of_the_divergence_is_that_of_the_loss() -> None:
    """Check 5: less of it leaves more to the latent numbers, and the record still says how large it is."""
    generator_of = torch.Generator().manual_seed(0)
    x = (torch.rand(40, 6, generator=generator_of) < 0.5).float()
    edges = torch.randint(40, (2, 300), generator=generator_of)
    free, heavy = (
        train_generator(x, edges, GeneratorOptions(
            latent=3, hidden=24, steps=150, batch_size=64, learning_rate=0.01, kl_weight=weight))[1]
        for weight in (0.0, 4.0)
    )  # fmt: skip
    assert free.kl > 1 > 0.1 > heavy.kl
    assert free.deviation > 3 * heavy.deviation


def test_graphs_that_teach_nothing_are_refused() -> None:
    with pytest.raises(DataError, match="no edge between two nodes"):
        train_generator(torch.rand(3, 2), torch.tensor([[1], [1]]), SMALL)
    with pytest.raises(DataError, match="'bce' needs features from 0 to 1"):
        train_generator(torch.full((3, 2), 2.0), torch.tensor([[1], [0]]), SMALL)
    assert np.isfinite(train_generator(torch.randn(3, 2), torch.tensor([[1], [0]]), GeneratorOptions(
        steps=2, hidden=4, reconstruction="mse"))[1].loss)  # fmt: skip


SPACE = """
space: own
input: graph
task: node-classification
slots:
  augmented:
    from: input
    blocks: [{graph.local_augmentation: {generator: trained, steps: 2, hidden: 5, training: {latent: 2}}}]
    width: 7
output: augmented
head: auto
"""


def test_a_space_trains_its_generator_on_what_training_may_see(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOML_CACHE", str(tmp_path / "cache"))
    file, host = tmp_path / "own.yaml", Host.load()
    file.write_text(SPACE)
    skeleton = load_skeleton(str(file), host)
    task = NodeClassification.load("karate", seed=1, options={"inductive": True})
    hidden = set(task.split["test"])
    assert hidden
    assert len(task.training_graph.x) == 34 - len(hidden) - len(task.split["validation"])
    weights = [
        {n: v for n, v in build_supernet(skeleton, task, host).state_dict().items() if ".generator." in n}
        for _ in range(2)
    ]
    assert weights[0]
    assert all(torch.equal(v, weights[1][n]) for n, v in weights[0].items())
    (written,) = (tmp_path / "cache" / "local-augmentation").iterdir()
    x, edges = task.training_graph.x, task.training_graph.edge_index
    options = GeneratorOptions(steps=2, hidden=5, latent=2)
    assert cached_generator(x, edges, tmp_path / "cache" / "local-augmentation", options) == written
    file.write_text(SPACE.replace("latent", "latents"))
    with pytest.raises(ConfigError, match=r"no option 'latents'.*'latent'"):
        build_supernet(load_skeleton(str(file), host), task, host)
    file.write_text(SPACE.replace("steps", "step"))
    with pytest.raises(ConfigError, match=r"'step'.*'steps'"):
        build_supernet(load_skeleton(str(file), host), task, host)


def test_a_generator_needs_a_graph_to_learn_from() -> None:
    with pytest.raises(SpaceError, match="one graph to learn from"):
        LocalAugmentation(4, 3, generator="trained")
    host = Host.load()
    with pytest.raises(ConfigError, match="one graph to learn from"):
        build_supernet(
            load_skeleton("graph/augmented", host), GraphClassification.load("cycles-or-trees", seed=0), host
        )


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which generators are kept, empty."""
    monkeypatch.setenv("AUTOML_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "local-augmentation"


QUICK = {"latent": 2, "batch_size": 8, "learning_rate": 0.05}


def searched(width: int = 6, **options: Any) -> LocalAugmentation:
    """A block with four generators of the star."""
    settings: dict[str, Any] = {"hidden": [5, 9], "steps": [2, 7], "training": QUICK} | options
    return LocalAugmentation(width, 4, generator="trained", training_graph=Graph(*star(5)), **settings)


@pytest.mark.usefixtures("cache")
def test_width_and_steps_are_dimensions_where_features_are_generated() -> None:
    space = Supernet(searched()).space
    assert {name: list(dimension.choices) for name, dimension in space.dimensions.items()} == {
        "mode": ["none", "concat", "average"],
        "hidden": [5, 9],
        "steps": [2, 7],
    }
    assert space.size() == 1 + 2 * 4
    for architecture in space.enumerate():
        assert ({"hidden", "steps"} <= architecture.keys()) == (architecture["mode"] != "none")
        assert architecture.keys() <= {"mode", "hidden", "steps"}
    assert Supernet(searched(hidden=5)).space.names == ("mode", "steps")
    assert Supernet(searched(mode="concat")).space.size() == 4
    assert Supernet(searched(mode="none")).space.size() == 1
    assert Supernet(searched(hidden=[5], steps=7)).space.size() == 3


@pytest.mark.usefixtures("cache")
def test_every_width_and_number_of_steps_is_a_generator_of_its_own_and_extracted_alone(tmp_path: Path) -> None:
    x, edges = star(5)
    supernet = Supernet(searched()).eval()
    answers: dict[tuple[object, ...], torch.Tensor] = {}
    for architecture in supernet.space.enumerate():
        supernet.activate(architecture)
        model = supernet.extract(architecture)
        found = model(Graph(x, edges)).x
        torch.testing.assert_close(found, supernet(Graph(x, edges)).x, rtol=0, atol=0)
        answers[tuple(architecture.values())] = found
        held = [module for module in model.modules() if isinstance(module, Generator)]
        if architecture["mode"] == "none":
            assert not held
            continue
        (generator,) = held
        hidden, steps = int(architecture["hidden"]), int(architecture["steps"])
        expected, _ = train_generator(x, edges, GeneratorOptions(hidden=hidden, steps=steps, **QUICK))
        assert all(map(torch.equal, generator.state_dict().values(), expected.state_dict().values()))
        torch.export.export(_OnTensors(model), (x, edges))
        assert not any(parameter.requires_grad for parameter in generator.parameters())
    for one, two in combinations(answers.values(), 2):
        assert not torch.allclose(one, two)


def test_generators_of_one_width_are_snapshots_of_one_training_kept_once(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[tuple[int, list[int]]] = []

    def noted(
        x: torch.Tensor, edges: torch.Tensor, options: GeneratorOptions, steps: list[int]
    ) -> dict[int, Generator]:
        trained.append((options.hidden, list(steps)))
        return train_snapshots(x, edges, options, steps)

    monkeypatch.setattr("automl_graph.local_augmentation.storage.train_snapshots", noted)
    searched()
    assert trained == [(5, [2, 7]), (9, [2, 7])]
    written = {path: path.stat().st_mtime_ns for path in cache.iterdir()}
    assert len(written) == 4
    searched()
    assert {path: path.stat().st_mtime_ns for path in cache.iterdir()} == written
    searched(steps=[2, 7, 8])
    assert trained[2:] == [(5, [8]), (9, [8])]
    x, edges = star(5)
    options = GeneratorOptions(hidden=5, steps=7, **QUICK)
    assert cached_generator(x, edges, cache, options) in written  # one file, whichever way it is asked for


def test_snapshots_are_what_separate_trainings_give_and_leave_random_numbers_alone() -> None:
    x, edges = star(5)
    torch.manual_seed(3)
    expected_next = torch.rand(1)
    torch.manual_seed(3)
    snapshots = train_snapshots(x, edges, SMALL, [1, 5])
    assert torch.equal(torch.rand(1), expected_next)
    assert list(snapshots) == [1, 5]
    for steps, found in snapshots.items():
        expected, _ = train_generator(x, edges, replace(SMALL, steps=steps))
        assert not found.training
        assert torch.equal(found(x), expected(x))
    with pytest.raises(ConfigError, match="selection 'last', not 'u_score'"):
        train_snapshots(x, edges, replace(SMALL, selection="u_score"), [1])


def test_the_reconstruction_fits_the_range_of_the_features(cache: Path) -> None:
    x, edges = star(5)
    bounded = searched(steps=2, hidden=5)
    assert isinstance(bounded.generator.active, Generator)
    assert bounded.generator.active.bounded
    graph = Graph(x - 0.5, edges)
    free = LocalAugmentation(6, 4, generator="trained", steps=2, hidden=5, training=QUICK, training_graph=graph)
    assert not free.generator.active.bounded
    assert len(list(cache.iterdir())) == 2
    with pytest.raises(DataError, match="'bce' needs features from 0 to 1"):
        LocalAugmentation(6, 4, generator="trained", steps=2, training={"reconstruction": "bce"}, training_graph=graph)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"hidden": 0}, "hidden: 0 is not a whole number of at least 1"),
        ({"hidden": [5, 2.5]}, "hidden: 2.5 is not a whole number"),
        ({"steps": [0, 5]}, "steps: 0 is not a whole number of at least 1"),
        ({"steps": True}, "steps: True is not a whole number"),
        ({"steps": [7, 2]}, "choices must increase"),
        ({"hidden": []}, "at least one choice"),
        ({"training": {"hidden": 5}}, "'hidden' is an option of the block itself"),
        ({"training": {"steps": 5}}, "'steps' is an option of the block itself"),
        ({"training": {"latents": 5}}, r"no option 'latents'.*'latent'"),
        ({"training": {"selection": "u_score"}}, "no option 'selection'"),
    ],
)
def test_unusable_options_of_the_block_are_refused_before_any_training(
    wrong: dict[str, Any], message: str, cache: Path
) -> None:
    with pytest.raises(SpaceError, match=message):
        searched(**wrong)
    assert not cache.exists()


@pytest.mark.parametrize("option", [{"training": {"latent": 3}}, {"hidden": 5}, {"steps": [2, 3]}])
def test_options_of_the_generator_are_for_a_trained_one(option: dict[str, Any]) -> None:
    with pytest.raises(SpaceError, match=f"{next(iter(option))}: is for generator 'trained', not for 'self'"):
        LocalAugmentation(4, 3, **option)


def test_the_augmented_space_searches_the_generator(cache: Path) -> None:
    host = Host.load()
    task = NodeClassification.load("karate", seed=0)
    space = build_supernet(load_skeleton("graph/augmented", host), task, host).space
    block = "augmented.blocks.0"
    assert list(space.dimensions[f"{block}.mode"].choices) == ["none", "concat", "average"]
    widths, lengths = space.dimensions[f"{block}.hidden"].choices, space.dimensions[f"{block}.steps"].choices
    assert len(widths) > 1
    assert len(lengths) > 1
    assert len(list(cache.iterdir())) == len(widths) * len(lengths)


def test_consistency_refuses_a_task_with_a_single_output(tmp_path: Path) -> None:
    job = {"space": "graph/link-prediction", "data": "karate", "strategy": "consistency", "trials": 2}
    with pytest.raises(ConfigError, match="this task has a single output; take 'single-path'"):
        run_job(JobConfig(**job, training={"epochs": 1}), tmp_path / "run", host=Host.load())
    assert not (tmp_path / "run").exists()  # before a training
