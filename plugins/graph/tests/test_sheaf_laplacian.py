"""Sheaf Laplacians against dense matrices and known spectra: checks 1 to 8 and 11 of neural sheaf diffusion."""

from __future__ import annotations

import math

import networkx
import pytest
import torch
from automl_graph.sheaf import NodePairs, SheafLaplacian, build_laplacian, node_pairs, orthogonal, orthogonal_numbers
from automl_graph.sheaf.inverse_root import inverse_root
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from automl.errors import DataError

KINDS = ("diag", "bundle", "general")


def random_pairs(nodes: int = 9, seed: int = 0) -> NodePairs:
    """Connected and isolated nodes; the last one has no edge."""
    generator = torch.Generator().manual_seed(seed)
    return node_pairs(torch.randint(max(1, nodes - 1), (2, 2 * nodes), generator=generator), nodes)


def random_sheaf(pairs: NodePairs, kind: str, normalisation: str, seed: int = 0, stalk: int = 3) -> SheafLaplacian:
    generator = torch.Generator().manual_seed(seed)
    count = len(pairs.first)

    def draw(*shape: int) -> Tensor:
        return torch.tanh(torch.randn(count, *shape, generator=generator, dtype=torch.float64))

    if kind == "diag":
        return build_laplacian(pairs, draw(stalk), draw(stalk), normalisation=normalisation)  # type: ignore[arg-type]
    if kind == "general":
        return build_laplacian(pairs, draw(stalk, stalk), draw(stalk, stalk), normalisation=normalisation)  # type: ignore[arg-type]
    first, second = (orthogonal(draw(orthogonal_numbers("householder", stalk)), "householder", stalk) for _ in range(2))
    weight = torch.sigmoid(draw())
    return build_laplacian(pairs, first, second, normalisation=normalisation, orthogonal_weight=weight)  # type: ignore[arg-type]


def spectrum(laplacian: SheafLaplacian) -> Tensor:
    return torch.linalg.eigvalsh(laplacian.dense())


def close(found: Tensor, expected: object, tolerance: float = 1e-12) -> None:
    torch.testing.assert_close(found, torch.as_tensor(expected, dtype=found.dtype), rtol=0, atol=tolerance)


@given(seed=st.integers(0, 999), kind=st.sampled_from(KINDS), nodes=st.integers(1, 8), stalk=st.integers(2, 4))
@settings(max_examples=40, deadline=None)
def test_normalised_laplacians_are_symmetric_with_eigenvalues_from_0_to_2(
    seed: int, kind: str, nodes: int, stalk: int
) -> None:
    """Check 1."""
    pairs = random_pairs(nodes, seed)
    for normalisation in ("symmetric", "augmented") + (("degree",) if kind != "bundle" else ()):
        laplacian = random_sheaf(pairs, kind, normalisation, seed, stalk)
        matrix = laplacian.dense()
        close(matrix, matrix.T)
        values = spectrum(laplacian)
        assert float(values.min()) > -1e-10
        assert float(values.max()) < 2 + 1e-10
        if normalisation == "augmented":
            assert float(values.max()) < 2 - 1e-3


def bipartite() -> NodePairs:
    graph = networkx.complete_bipartite_graph(3, 3)
    return node_pairs(torch.tensor(list(graph.edges)).T, 6)


def test_trivial_sheaf_is_the_graph_laplacian() -> None:
    """Check 2."""
    pairs = bipartite()
    ones = torch.ones(9, 1, dtype=torch.float64)
    adjacency = torch.zeros(6, 6, dtype=torch.float64)
    adjacency[:3, 3:] = adjacency[3:, :3] = 1
    plain = build_laplacian(pairs, ones, ones, normalisation="symmetric")
    close(plain.dense(), torch.eye(6) - adjacency / 3)
    close(spectrum(plain), [0, 1, 1, 1, 1, 2])
    augmented = build_laplacian(pairs, ones, ones)
    close(augmented.dense(), (3 * torch.eye(6) - adjacency) / 4)
    close(spectrum(augmented), [0, 0.75, 0.75, 0.75, 0.75, 1.5])


def test_trivial_sheaf_of_a_graph_of_unequal_degrees_is_its_laplacian() -> None:
    """Check 2 where scaling rows is not scaling both sides, as it is where all degrees are equal."""
    graph = networkx.karate_club_graph()
    pairs = node_pairs(torch.tensor(list(graph.edges)).T, 34)
    ones = torch.ones(78, 1, dtype=torch.float64)
    found = build_laplacian(pairs, ones, ones, normalisation="symmetric").dense()
    close(found, networkx.normalized_laplacian_matrix(graph, weight=None).toarray())
    plain = torch.from_numpy(networkx.laplacian_matrix(graph, weight=None).toarray()).double()
    close(build_laplacian(pairs, ones, ones, normalisation="none").dense(), plain)
    scale = (plain.diagonal() + 1).rsqrt()
    close(build_laplacian(pairs, ones, ones).dense(), scale[:, None] * plain * scale)


def test_opposite_signs_on_two_sides_have_the_side_as_their_kernel() -> None:
    """Check 3."""
    pairs = bipartite()
    ones = torch.ones(9, 1, dtype=torch.float64)
    laplacian = build_laplacian(pairs, -ones, ones, normalisation="symmetric")
    values, vectors = torch.linalg.eigh(laplacian.dense())
    close(values, [0, 1, 1, 1, 1, 2])
    side = torch.sign(vectors[:, 0])
    assert (side[:3] == side[0]).all()
    assert (side[3:] == -side[0]).all()


def test_triangle_with_and_without_path_independence() -> None:
    """Check 4."""
    pairs = node_pairs(torch.tensor([[0, 1, 2], [1, 2, 0]]), 3)
    angles = torch.tensor([[0.3], [0.11], [0.47]], dtype=torch.float64)
    node_maps = orthogonal(angles, "euler", 2)
    first, second = node_maps.mT[pairs.first], node_maps.mT[pairs.second]
    close(spectrum(build_laplacian(pairs, first, second, normalisation="none")), [0, 0, 3, 3, 3, 3])
    quarter = torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64)
    turned = torch.cat([quarter @ first[:1], first[1:]])
    expected = sorted(
        2 - 2 * math.cos((sign * math.pi / 2 + 2 * math.pi * k) / 3) for sign in (1, -1) for k in range(3)
    )
    assert [round(value, 4) for value in expected] == [0.2679, 0.2679, 2.0, 2.0, 3.7321, 3.7321]
    close(spectrum(build_laplacian(pairs, turned, second, normalisation="none")), expected)


@pytest.mark.parametrize(
    ("kind", "stalk"),
    [
        *((kind, stalk) for kind in ("householder", "cayley", "matrix_exp") for stalk in (2, 3, 4, 5)),
        ("euler", 2),
        ("euler", 3),
    ],
)
def test_orthogonal_maps_are_orthogonal(kind: str, stalk: int) -> None:
    """Check 5."""
    expected = stalk * (stalk + 1) // 2 if kind in ("cayley", "matrix_exp") else stalk * (stalk - 1) // 2
    assert orthogonal_numbers(kind, stalk) == expected  # type: ignore[arg-type]
    numbers = torch.randn(17, expected, generator=torch.Generator().manual_seed(1))
    maps = orthogonal(numbers, kind, stalk)  # type: ignore[arg-type]
    assert float((maps.mT @ maps - torch.eye(stalk)).abs().max()) < 1e-5
    assert float((maps[0] - maps[1]).abs().max()) > 0.1
    close(torch.linalg.det(maps), torch.full((17,), (-1.0) ** stalk if kind == "householder" else 1.0), 1e-4)


def test_reflections_of_larger_stalks_are_orthogonal_too() -> None:
    numbers = torch.randn(5, 10, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    maps = orthogonal(numbers, "householder", 5)
    close(maps.mT @ maps, torch.eye(5).expand(5, 5, 5))
    lower = numbers[0].new_zeros(5, 5)
    lower[tuple(torch.tril_indices(5, 5, -1))] = numbers[0]
    product = torch.eye(5, dtype=torch.float64)
    for vector in (lower + torch.eye(5)).T:
        product = product @ (torch.eye(5) - 2 * torch.outer(vector, vector) / vector.dot(vector))
    close(maps[0], product)


@pytest.mark.parametrize("kind", KINDS)
def test_block_of_two_nodes_is_the_transpose_of_its_reverse_and_made_of_their_maps(kind: str) -> None:
    """Check 6, and the definition of the Laplacian by blocks."""
    pairs = random_pairs()
    laplacian = random_sheaf(pairs, kind, "none")
    blocks = laplacian.dense().view(9, 3, 9, 3).transpose(1, 2)
    full = [maps if maps.dim() == 3 else torch.diag_embed(maps) for maps in (laplacian.first, laplacian.second)]
    expected = torch.zeros_like(blocks)
    for pair, (v, u) in enumerate(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)):
        at_v, at_u = full[0][pair], full[1][pair]
        expected[v, v] += at_v.T @ at_v
        expected[u, u] += at_u.T @ at_u
        expected[v, u] = -at_v.T @ at_u
        expected[u, v] = expected[v, u].T
    close(blocks, expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("normalisation", ["symmetric", "augmented"])
def test_normalisation_is_that_of_the_blocks(kind: str, normalisation: str) -> None:
    pairs = random_pairs()
    plain = random_sheaf(pairs, kind, "none").dense()
    blocks = plain.view(9, 3, 9, 3)
    degree = torch.stack([blocks[v, :, v] for v in range(9)])
    if normalisation == "augmented":
        degree = degree + torch.eye(3)
    values, vectors = torch.linalg.eigh(degree)
    roots = torch.where(values > 1e-12, values.clamp(min=1e-12).rsqrt(), 0)
    root = torch.block_diag(*(vectors * roots.unsqueeze(-2) @ vectors.mT))
    close(random_sheaf(pairs, kind, normalisation).dense(), root @ plain @ root)


def test_degree_normalisation_bounds_by_degree_and_stalk() -> None:
    pairs = random_pairs()
    degree = pairs.degree(torch.float64).repeat_interleave(3)
    for kind, factor in (("diag", 1), ("general", 3)):
        scale = (factor * degree + 1).rsqrt()
        plain = random_sheaf(pairs, kind, "none").dense()
        close(random_sheaf(pairs, kind, "degree").dense(), scale[:, None] * plain * scale)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("normalisation", ["none", "symmetric", "augmented"])
def test_node_without_neighbours_has_zero_rows(kind: str, normalisation: str) -> None:
    """Check 7, isolated nodes."""
    matrix = random_sheaf(random_pairs(), kind, normalisation).dense()
    assert torch.equal(matrix[-3:], torch.zeros_like(matrix[-3:]))
    assert torch.isfinite(matrix).all()


def test_pairs_do_not_depend_on_direction_repetition_or_self_loops() -> None:
    edges = torch.tensor([[0, 3, 1, 1, 2], [3, 0, 1, 2, 1]])
    pairs = node_pairs(edges, 5)
    assert (pairs.first.tolist(), pairs.second.tolist()) == ([0, 1], [3, 2])
    assert pairs.degree(torch.float64).tolist() == [1, 1, 1, 1, 0]
    assert node_pairs(edges, 5) is pairs
    edges[1, 4] = 4
    assert node_pairs(edges, 5).second.tolist() == [3, 2, 4]
    with pytest.raises(DataError, match="holds node 0 to 4, but the graph has 4 nodes"):
        node_pairs(edges, 4)
    with pytest.raises(DataError, match="holds node -1"):
        node_pairs(edges - 1, 5)


def test_inverse_root_has_the_gradient_of_the_function() -> None:
    """Check 11, the root itself: gradients by differences, also where eigenvalues are equal."""
    generator = torch.Generator().manual_seed(0)
    half = torch.randn(4, 3, 3, generator=generator, dtype=torch.float64)
    half[0] = torch.eye(3)
    half[1] = torch.diag(torch.tensor([2.0, 2.0, 5.0]))
    half.requires_grad_()
    assert torch.autograd.gradcheck(lambda m: inverse_root(m @ m.mT), (half,))
    matrix = (half @ half.mT).detach()
    root = inverse_root(matrix)
    close(root @ matrix @ root, torch.eye(3).expand(4, 3, 3), 1e-9)


def test_equal_general_maps_have_finite_gradients() -> None:
    """Check 11."""
    pairs = random_pairs()
    maps = torch.eye(3, dtype=torch.float64).repeat(len(pairs.first), 1, 1).requires_grad_()
    x = torch.randn(9, 3, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    build_laplacian(pairs, maps, maps).apply(x).square().sum().backward()  # type: ignore[no-untyped-call]
    assert maps.grad is not None
    assert torch.isfinite(maps.grad).all()
    assert maps.grad.any()


@pytest.mark.parametrize("kind", KINDS)
def test_energy_is_the_quadratic_form(kind: str) -> None:
    laplacian = random_sheaf(random_pairs(), kind, "augmented")
    x = torch.randn(9, 3, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    flat = x.view(27, 2)
    close(laplacian.energy(x), (flat.T @ laplacian.dense() @ flat).trace())
    close(laplacian.apply(x).view(27, 2), laplacian.dense() @ flat)


def test_the_sparse_product_of_diagonal_maps_has_the_values_and_gradients_of_the_products_along_edges() -> None:
    pairs = random_pairs(nodes=11)
    generator = torch.Generator().manual_seed(2)
    count, x = len(pairs.first), torch.randn(11, 3, 2, generator=generator, dtype=torch.float64).requires_grad_()
    first, second = (torch.randn(count, 3, generator=generator, dtype=torch.float64).requires_grad_() for _ in range(2))
    towards = torch.randn(11, 3, 2, generator=generator, dtype=torch.float64)

    def through_edges(first: Tensor, second: Tensor, x: Tensor) -> Tensor:
        matrices = (torch.diag_embed(maps) for maps in (first, second))
        return SheafLaplacian(pairs, *matrices).apply(x)

    def sparse(first: Tensor, second: Tensor, x: Tensor) -> Tensor:
        return SheafLaplacian(pairs, first, second).apply(x)

    found, expected = (function(first, second, x) for function in (sparse, through_edges))
    close(found, expected)
    gradients = (torch.autograd.grad((y * towards).sum(), (first, second, x)) for y in (found, expected))
    for one, other in zip(*gradients, strict=True):
        close(one, other)


def test_half_precision_takes_the_products_along_edges() -> None:
    pairs = random_pairs()
    maps = torch.ones(len(pairs.first), 1, dtype=torch.bfloat16)
    x = torch.arange(9, dtype=torch.bfloat16).view(9, 1, 1)
    found = build_laplacian(pairs, maps, maps, normalisation="none").apply(x)
    assert found.dtype == torch.bfloat16
    close(found.float(), build_laplacian(pairs, maps.float(), maps.float(), normalisation="none").apply(x.float()))
