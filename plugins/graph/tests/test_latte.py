"""LATTE: relation joining, attention inside and across relations, elastic orders, and what the paper leads to expect."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from automl_graph.hetero import (
    LATTE,
    HeteroFormat,
    HeteroGraph,
    HeteroNodeClassification,
    LATTEHead,
    Relation,
    Schema,
    joined_edges,
    meta_relations,
    planted_papers,
)
from automl_graph.hetero.joining import MetaRelation
from automl_graph.hetero.latte import StackedOrders
from automl_graph.hetero.latte_layer import LATTELayer, Orders, Preference, RelationScore
from automl_graph.hetero.schema import EXAMPLE_SCHEMA
from automl_graph.probes.relation_usage import RelationUsage
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from automl.supernet import Supernet, auxiliary_losses
from automl.testing.active_weights import active_weights
from automl.testing.weights import randomise


def schema_of(*pairs: str) -> Schema:
    types = tuple(dict.fromkeys("".join(pairs)))
    return Schema(types, tuple(Relation(pair.upper(), pair[0], pair[1]) for pair in pairs))


def names(schema: Schema, relations: list[MetaRelation]) -> set[str]:
    return {
        schema.relations[r.steps[0]].head + "".join(schema.relations[step].tail for step in r.steps) for r in relations
    }


def example(nodes: int = 20, width: int = 4, seed: int = 0) -> HeteroGraph:
    tensors = HeteroFormat().example(nodes, width, torch.Generator().manual_seed(seed))
    return HeteroFormat().pack(*(t.double() if t.is_floating_point() else t for t in tensors))


def stack(schema: Schema = EXAMPLE_SCHEMA, inp: int = 4, **options: object) -> StackedOrders:
    given: dict[str, object] = {
        "orders": 1,
        "heads": 1,
        "head_width": 3,
        "attention": "sharpening",
        "context": "input",
        "updates": "all",
        "joined_edges": "all",
        "attention_dropout": 0.0,
        "proximity": 0.0,
        "negatives": 2.0,
    }
    torch.manual_seed(1)
    network = StackedOrders(inp, schema=schema, **(given | options)).double().eval()  # type: ignore[arg-type]
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn_like(parameter))
    return network


def layer_of(network: StackedOrders, order: int = 1) -> LATTELayer:
    layer = network.layers.active()[order - 1]
    assert isinstance(layer, LATTELayer)
    return layer


def dense(edges: Tensor, shape: tuple[int, int]) -> Tensor:
    return torch.zeros(shape, dtype=torch.float64).index_put(
        tuple(edges), torch.ones(edges.shape[1], dtype=torch.float64), accumulate=True
    )


def test_relations_of_an_order_join_ends_of_the_same_type() -> None:
    papers = schema_of("pa", "ap", "ps", "sp")
    orders = meta_relations(papers, 3)
    assert names(papers, orders[1]) == {"pap", "psp", "apa", "aps", "spa", "sps"}
    assert [sum(r.head == t for r in orders[1]) for t in range(3)] == [2, 2, 2]
    assert len(orders[2]) == 8
    authors = schema_of("ac", "ca", "ap", "pa", "at", "ta")
    second = meta_relations(authors, 2)[1]
    assert len(second) == 12
    assert names(authors, [r for r in second if r.head == 0]) == {"aca", "apa", "ata"}


def test_joined_values_of_a_hand_example() -> None:
    schema = schema_of("ab", "bc")
    graph = HeteroGraph(
        (torch.zeros(2, 1), torch.zeros(1, 1), torch.zeros(2, 1)),
        (torch.tensor([[0, 1], [0, 0]]), torch.tensor([[0, 0], [0, 1]])),
    )
    joined = joined_edges(graph, meta_relations(schema, 2)[1][0], schema)
    assert joined.index.tolist() == [[0, 0, 1, 1], [0, 1, 0, 1]]
    assert joined.value.tolist() == [0.25] * 4


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), nodes=st.integers(3, 14))
def test_sparse_and_traced_joins_equal_products_of_dense_matrices(seed: int, nodes: int) -> None:
    from automl_graph.hetero import joining

    graph = example(nodes, seed=seed)
    for relation in meta_relations(EXAMPLE_SCHEMA, 3)[2][:4]:
        edges = [graph.edges[step] for step in relation.steps]
        sizes = [len(graph.x[relation.head]), *(len(graph.x[EXAMPLE_SCHEMA.ends(step)[1]]) for step in relation.steps)]
        expected = dense(edges[0], (sizes[0], sizes[1]))
        for step, index in enumerate(edges[1:], start=1):
            other = dense(index, (sizes[step], sizes[step + 1]))
            total = expected.sum(0) + other.sum(1)
            expected = expected @ torch.diag(torch.where(total > 0, 1 / total, 0)) @ other
        for traced in (False, True):
            joined = joining._chain(edges, sizes, "all", traced=traced)
            found = torch.zeros_like(expected).index_put(tuple(joined.index), joined.value)
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
            assert joined.index.shape[1] == int((expected > 0).sum())


@pytest.mark.filterwarnings("ignore:Sparse")  # torch-geometric's own sparse tensors
def test_joined_edges_are_those_of_metapaths() -> None:
    from torch_geometric.data import HeteroData
    from torch_geometric.transforms import AddMetaPaths

    graph = example(30, seed=3)
    data = HeteroData()
    for name, x in zip(EXAMPLE_SCHEMA.types, graph.x, strict=True):
        data[name].x = x
    for relation, index in zip(EXAMPLE_SCHEMA.relations, graph.edges, strict=True):
        data[relation.head, relation.name, relation.tail].edge_index = index
    path = [("paper", "written_by", "author"), ("author", "writes", "paper")]
    expected = AddMetaPaths([path])(data)["paper", "metapath_0", "paper"].edge_index
    relation = MetaRelation((1, 2), 0, 0)
    found = joined_edges(graph, relation, EXAMPLE_SCHEMA).index
    assert set(map(tuple, found.T.tolist())) == set(map(tuple, expected.T.tolist()))


def test_join_takes_memory_by_edges_and_not_by_pairs_of_nodes() -> None:
    schema, nodes = schema_of("ab", "bc"), 10_000_000  # all pairs would take 100 terabytes
    graph = HeteroGraph(
        (torch.empty(nodes, 0), torch.empty(3, 0), torch.empty(nodes, 0)),
        (torch.tensor([[7, nodes - 1], [0, 2]]), torch.tensor([[0, 2, 1], [nodes - 2, 5, 6]])),
    )
    joined = joined_edges(graph, meta_relations(schema, 2)[1][0], schema)
    assert joined.index.tolist() == [[7, nodes - 1], [nodes - 2, 5]]


def test_join_is_computed_once_and_again_after_a_change() -> None:
    graph, relation = example(30), meta_relations(EXAMPLE_SCHEMA, 2)[1][1]
    first = joined_edges(graph, relation, EXAMPLE_SCHEMA)
    assert joined_edges(graph, relation, EXAMPLE_SCHEMA).index is first.index
    graph.edges[relation.steps[1]][0, 0] = (graph.edges[relation.steps[1]][0, 0] + 1) % 2
    assert joined_edges(graph, relation, EXAMPLE_SCHEMA).index is not first.index


def test_sampled_join_keeps_as_many_edges_as_the_smaller_relation_and_prefers_large_values() -> None:
    schema = schema_of("ab", "bc")
    generator = torch.Generator().manual_seed(0)
    edges = (torch.randint(40, (2, 300), generator=generator), torch.randint(40, (2, 200), generator=generator))
    graph = HeteroGraph(tuple(torch.zeros(40, 1) for _ in range(3)), edges)
    relation = meta_relations(schema, 2)[1][0]
    whole, kept = joined_edges(graph, relation, schema), joined_edges(graph, relation, schema, "sampled")
    assert kept.index.shape[1] == 200 < whole.index.shape[1]
    assert {*map(tuple, kept.index.T.tolist())} <= {*map(tuple, whole.index.T.tolist())}
    assert float(kept.value.mean()) > float(whole.value.mean())


def by_loops(layer: LATTELayer, graph: HeteroGraph, before: tuple[Tensor, ...] | None) -> tuple[list[Tensor], set[str]]:
    """One order of a single head, node after node; what is left out of the cases a node can be in comes second."""
    x = graph.x if before is None else before
    left, right = layer.own(x), layer.others(x if layer.previous_context else graph.x)
    outputs, missed = [], {"no neighbour", "one neighbour", "several"}
    for t, own in left.items():
        rows = []
        relations = [(r, s) for r, s in zip(layer.relations, layer.scores, strict=True) if r.head == t]
        (preference,) = [p for p in layer.preferences if p.type_name == EXAMPLE_SCHEMA.types[t]]  # type: ignore[union-attr]
        beta = torch.softmax(x[t] @ preference.layer.layers[0].weight.T + preference.layer.layers[0].bias, 1)  # type: ignore
        assert beta.shape[1] == len(relations) + 1
        for i in range(len(own)):
            total = beta[i, -1] * own[i]
            for k, (relation, score) in enumerate(relations):
                index = joined_edges(graph, relation, EXAMPLE_SCHEMA).index
                near = index[1, index[0] == i].tolist()
                missed.discard(("no neighbour", "one neighbour", "several")[min(len(near), 2)])
                u, v = score.head, score.tail  # type: ignore[union-attr]
                energies = [
                    score.sharpness  # type: ignore[union-attr]
                    * (own[i] @ u.weight[0] + u.bias[0] + right[relation.tail][j] @ v.weight[0] + v.bias[0])  # type: ignore
                    for j in near
                ]
                largest = max(map(float, energies), default=0.0)
                powers = [torch.exp(e - largest) for e in energies]
                for power, j in zip(powers, near, strict=True):
                    total = total + beta[i, k] * power / sum(powers) * right[relation.tail][j]
            rows.append(torch.relu(total))
        outputs.append(torch.stack(rows))
    return outputs, missed


@pytest.mark.parametrize("context", ["input", "previous"])
def test_two_orders_are_the_formulas_node_after_node(context: str) -> None:
    """Attention inside a relation is a softmax over the neighbours of a node alone, whatever the values of joined edges."""
    network, graph = stack(orders=2, context=context).requires_grad_(False), example(14, seed=5)
    graph = graph._replace(edges=tuple(index[:, :9] for index in graph.edges))
    first, missed = by_loops(layer_of(network, 1), graph, None)
    assert not missed
    second, missed = by_loops(layer_of(network, 2), graph, tuple(first))
    assert not missed
    values = joined_edges(graph, layer_of(network, 2).relations[0], EXAMPLE_SCHEMA).value
    assert values.max() > values.min()  # weights of edges, if they were used, would show
    for found, one, two in zip(network(graph), first, second, strict=True):
        torch.testing.assert_close(found, torch.cat([one, two], dim=1), rtol=0, atol=1e-12)


def test_attention_sums_to_one_inside_and_across_relations() -> None:
    network = stack(heads=2, orders=2, context="previous").requires_grad_(False)
    graph = example(8, seed=5)
    layer = layer_of(network)
    for preference in layer.preferences:
        assert isinstance(preference, Preference)
        weights = preference(graph.x)
        assert weights.shape[1] == len(preference.relations) + 1
        torch.testing.assert_close(weights.sum(1), torch.ones(len(weights), dtype=torch.float64))
        assert float((weights[0] - weights[1]).abs().max()) > 1e-3  # of each node, not of each type
    with torch.no_grad():  # neighbours that all say 1 add up to the weights of attention
        for others in layer.others.layers:
            others.weight.zero_()
            others.bias.fill_(1.0)
        for preference in layer.preferences:
            preference.layer.layers[0].weight.zero_()  # type: ignore[union-attr]
            preference.layer.layers[0].bias.zero_()  # type: ignore[union-attr]
            preference.layer.layers[0].bias[-1] = -1e3  # type: ignore[union-attr]
    result = layer(Orders(graph)).outputs[0]
    for t, of_type in enumerate(result):
        relations = [r for r in layer.relations if r.head == t]
        has = torch.stack([torch.isin(torch.arange(len(of_type)), graph.edges[r.steps[0]][0]) for r in relations])
        torch.testing.assert_close(of_type, has.double().mean(0)[:, None].expand_as(of_type), rtol=0, atol=1e-12)
    assert all(bool(torch.isfinite(h).all()) for h in network(graph))


def test_nodes_without_neighbours_keep_a_share_for_nobody() -> None:
    graph = example(9, seed=6)
    lonely = HeteroGraph(graph.x, tuple(index[:, :0] for index in graph.edges))
    network = stack()
    layer = layer_of(network)
    own = layer.own(graph.x)
    preferences = {p.type_name: p(graph.x) for p in layer.preferences if isinstance(p, Preference)}
    for t, found in enumerate(network(lonely)):
        share = preferences[EXAMPLE_SCHEMA.types[t]][:, -1:]
        torch.testing.assert_close(found, torch.relu(share * own[t]), rtol=0, atol=1e-12)


def test_own_features_alone_make_edges_irrelevant() -> None:
    network, graph = stack(), example(12, seed=7)
    layer = layer_of(network)
    with torch.no_grad():
        for preference in layer.preferences:
            preference.layer.layers[0].weight.zero_()
            preference.layer.layers[0].bias.zero_()
            preference.layer.layers[0].bias[-1] = 1e3
    other = HeteroGraph(graph.x, example(12, seed=8).edges)
    for t, (found, again) in enumerate(zip(network(graph), network(other), strict=True)):
        torch.testing.assert_close(found, torch.relu(layer.own(graph.x)[t]), rtol=0, atol=1e-12)
        torch.testing.assert_close(found, again, rtol=0, atol=1e-12)


@pytest.mark.parametrize("flat", ["vectors", "sharpness", "features"])
def test_one_relation_without_a_difference_between_neighbours_is_their_mean(flat: str) -> None:
    schema = schema_of("ab")
    network = stack(schema)
    layer = layer_of(network)
    score = layer.scores[0]
    assert isinstance(score, RelationScore)
    assert score.sharpness is not None
    graph = HeteroGraph(
        (torch.randn(5, 4, dtype=torch.float64), torch.randn(7, 4, dtype=torch.float64)),
        (torch.tensor([[0, 0, 0, 2, 4, 4], [6, 1, 3, 2, 0, 5]]),),
    )
    with torch.no_grad():
        layer.preferences[0].layer.layers[0].weight.zero_()
        layer.preferences[0].layer.layers[0].bias[-1] = -1e3
        if flat == "vectors":
            score.head.weight.zero_()
            score.tail.weight.zero_()
        if flat == "sharpness":
            score.sharpness.zero_()
    if flat == "features":
        graph = graph._replace(x=(graph.x[0], torch.ones_like(graph.x[1])))
    adjacency = dense(graph.edges[0], (5, 7))
    mean = adjacency @ layer.others(graph.x)[1] / adjacency.sum(1, keepdim=True).clamp(min=1)
    torch.testing.assert_close(network(graph)[0], torch.relu(mean), rtol=0, atol=1e-12)


@pytest.mark.parametrize("context", ["input", "previous"])
def test_number_of_parameters_of_each_order(context: str) -> None:
    schema, inp, width = schema_of("pa", "ap", "ps", "sp"), 4, 3
    network = stack(schema, inp, orders=3, context=context)
    for order, relations in enumerate(meta_relations(schema, 3), start=1):
        own = inp if order == 1 else width
        other = inp if context == "input" or order == 1 else width
        per_type = [sum(r.head == t for r in relations) for t in range(3)]
        expected = sum((own + 1) * width + (other + 1) * width + (own + 1) * (r + 1) for r in per_type)
        expected += len(relations) * (2 * width + 3)
        assert sum(p.numel() for p in layer_of(network, order).parameters()) == expected


def test_renumbering_nodes_permutes_outputs_and_renaming_types_changes_nothing() -> None:
    network, graph = stack(orders=2, heads=2), example(17, seed=9)
    orders = [torch.randperm(len(x), generator=torch.Generator().manual_seed(2)) for x in graph.x]
    places = [torch.argsort(order) for order in orders]
    edges = []
    for relation, index in enumerate(graph.edges):
        head, tail = EXAMPLE_SCHEMA.ends(relation)
        edges.append(torch.stack([places[head][index[0]], places[tail][index[1]]]))
    moved = HeteroGraph(tuple(x[order] for x, order in zip(graph.x, orders, strict=True)), tuple(edges))
    for found, expected, order in zip(network(moved), network(graph), orders, strict=True):
        torch.testing.assert_close(found, expected[order], rtol=0, atol=1e-12)

    new = dict(zip(EXAMPLE_SCHEMA.types, ("a.b", "z", "paper"), strict=True))
    renamed = Schema(
        tuple(new.values()), tuple(Relation(r.name + "!", new[r.head], new[r.tail]) for r in EXAMPLE_SCHEMA.relations)
    )
    again = stack(renamed, orders=2, heads=2)
    for found, expected in zip(again(graph), network(graph), strict=True):
        assert torch.equal(found, expected)


class Network(nn.Module):
    """A head between tensors."""

    def __init__(self, head: nn.Module, schema: Schema = EXAMPLE_SCHEMA) -> None:
        super().__init__()
        self.head = head
        self.format = HeteroFormat(schema)

    def forward(self, *tensors: Tensor) -> Tensor:
        logits: Tensor = self.head(self.format.pack(*tensors))
        return logits


def test_fewer_orders_are_the_first_columns_of_more() -> None:
    torch.manual_seed(3)
    head = LATTEHead(4, 5, schema=EXAMPLE_SCHEMA, orders=[1, 2], head_width=6).double().eval()
    supernet = Supernet(head)
    graph = example(15, seed=10)
    name = next(n for n in supernet.space.dimensions if n.endswith("orders"))
    small = supernet.extract(
        supernet.space.canonical({n: d.choices[0] for n, d in supernet.space.dimensions.items()} | {name: 1})
    )
    alone = LATTEHead(4, 5, schema=EXAMPLE_SCHEMA, orders=1, head_width=6).double().eval()
    weights = {k: v for k, v in head.state_dict().items() if k in alone.state_dict()}
    weights["linear.layers.0.weight"] = weights["linear.layers.0.weight"][:, :6]
    alone.load_state_dict(weights)
    torch.testing.assert_close(small(graph), alone(graph), rtol=0, atol=1e-12)


def test_gradient_reaches_all_active_weights_where_scores_do_not_cancel() -> None:
    # Without a nonlinearity, what the head of an edge adds to its logits is the same for all its neighbours.
    network = Network(LATTE(5, 4, schema=EXAMPLE_SCHEMA, orders=[1, 2], head_width=[3, 6], attention="leaky_relu"))
    supernet = Supernet(network.double().eval())
    inputs = [t.double() if t.is_floating_point() else t for t in HeteroFormat().example(24, 5, torch.Generator())]
    for architecture in (supernet.space.smallest(), supernet.space.largest()):
        supernet.activate(architecture)
        active = active_weights(supernet, architecture)
        assert active is not None
        reached = {n: torch.zeros_like(p, dtype=torch.bool) for n, p in network.named_parameters()}
        for seed in range(3):
            randomise(network, seed=seed)
            network.zero_grad(set_to_none=True)
            graph = network(*inputs)
            torch.stack([(x * torch.randn_like(x)).sum() for x in graph.x]).sum().backward()  # type: ignore[attr-defined]
            for name, parameter in network.named_parameters():
                if parameter.grad is not None:
                    assert not parameter.grad[~active[name]].any()
                    reached[name] |= parameter.grad != 0
        assert not [name for name, inside in active.items() if inside.any() and not reached[name][inside].any()]


def test_updates_of_the_labelled_type_alone_give_it_the_same_features() -> None:
    graph = example(18, seed=11)
    whole = stack(orders=2)
    alone = stack(orders=2, updates="labelled")
    wanted = alone.state_dict()
    found = whole.state_dict()
    for order in (0, 1):
        full, part = layer_of(whole, order + 1), layer_of(alone, order + 1)
        kept = [p for p, r in enumerate(full.relations) if r.head == 0]
        for new, old in enumerate(kept):
            for key in [k for k in wanted if k.startswith(f"layers.{order}.scores.{new}.")]:
                wanted[key] = found[key.replace(f"scores.{new}.", f"scores.{old}.")]
        for new, t in enumerate(part.others.types):
            old = full.others.types.index(t)
            for part_name in ("weight", "bias"):
                wanted[f"layers.{order}.others.layers.{new}.{part_name}"] = found[
                    f"layers.{order}.others.layers.{old}.{part_name}"
                ]
        for key in [k for k in wanted if k.startswith((f"layers.{order}.own.", f"layers.{order}.preferences.0."))]:
            wanted[key] = found[key]
    alone.load_state_dict(wanted)
    torch.testing.assert_close(alone(graph)[0], whole(graph)[0], rtol=0, atol=1e-12)


def test_proximity_loss_starts_near_ln_2_for_each_half_and_is_added_in_training_only() -> None:
    network = stack(proximity=1.0, negatives=3.0, orders=2)
    with torch.no_grad():
        for layer in (layer_of(network, 1), layer_of(network, 2)):
            for score in layer.scores:
                for parameter in score.parameters():
                    parameter.zero_()
    graph = example(30, seed=12)
    with auxiliary_losses() as losses:
        network(graph)
        assert not losses
        network.train()
        network(graph)
    assert len(losses) == 2
    assert losses[0].item() == pytest.approx(np.log(2), abs=1e-6)


def test_probe_reads_weights_that_sum_to_one_for_each_node() -> None:
    network, graph = stack(orders=2), example(15, seed=13)
    rows = RelationUsage()(network, graph)
    assert {row.order for row in rows} == {1, 2}
    for order in (1, 2):
        papers = [row for row in rows if (row.order, row.type_name) == (order, "paper")]
        assert [row.relation for row in papers][-1] == "self"
        torch.testing.assert_close(sum(row.weights for row in papers), torch.ones(5, dtype=torch.float64))
    assert not any(m._forward_hooks for m in network.modules())


def trained(task: HeteroNodeClassification, orders: int, steps: int) -> tuple[float, LATTEHead]:
    torch.manual_seed(0)
    head = LATTEHead(task.input_width, task.outputs, schema=task.schema, orders=orders, head_width=16)
    optimiser = torch.optim.Adam(head.parameters(), lr=0.01, weight_decay=0.001)
    pack = HeteroFormat(task.schema, None).pack
    batch = next(task.train_batches(np.random.default_rng(0), 1))
    head.train()
    for _ in range(steps):
        optimiser.zero_grad()
        task.loss(head(pack(*batch.inputs)), batch).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return 1 - task.evaluate(Network(head, task.schema), "test", 1)["error"], head


def test_first_order_learns_the_planted_classes_from_authors() -> None:
    task = HeteroNodeClassification.of(planted_papers(), seed=0)
    accuracy, head = trained(task, orders=1, steps=60)
    assert accuracy > 0.85
    usage = RelationUsage()(head, HeteroFormat(task.schema).pack(*task.example_inputs(1)))
    mean = {row.relation: row.mean for row in usage}
    assert mean["written_by"] > mean["about"]


@pytest.mark.slow
def test_second_order_finds_classes_two_relations_away() -> None:
    task = HeteroNodeClassification.of(planted_papers(author_features=False), seed=0)
    first, _ = trained(task, orders=1, steps=100)
    second, head = trained(task, orders=2, steps=100)
    assert second > first + 0.1
    usage = RelationUsage()(head, HeteroFormat(task.schema).pack(*task.example_inputs(1)))
    mean = {row.relation: row.mean for row in usage if row.order == 2}
    assert mean["written_by ∘ rev_written_by"] > mean["about ∘ rev_about"]
