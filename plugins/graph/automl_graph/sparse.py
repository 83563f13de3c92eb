"""Sparse matrix times dense matrix as one differentiable operator with a known cost.

``matrix @ x`` on a compressed sparse row matrix alone has two flaws here: its backward pass transposes the matrix every
time (at 20,000 edges that takes 40 times as long as the product), and ``torch.utils.flop_counter`` counts it as a dense
product. The operator keeps the transpose beside the matrix and registers the cost of a sparse product.
"""

from __future__ import annotations

import warnings
from typing import Any, Final

import torch
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

__all__ = ["SPARSE_DTYPES", "compressed_rows", "csr_matrix", "row_starts", "sparse_product"]


SPARSE_DTYPES: Final = (torch.float32, torch.float64)
"""Those in which products with compressed sparse rows are computed."""


def compressed_rows(row: Tensor, column: Tensor, values: Tensor, rows: int) -> Tensor:
    """Returns a square matrix in compressed sparse row form; equal positions add up in a product.

    Args:
        row: row of each entry, ``(entries,)`` int64, in any order.
        column: column of each entry, ``(entries,)`` int64.
        values: value of each entry, ``(entries,)``.
        rows: number of rows and of columns.

    Returns:
        ``(rows, rows)`` with layout ``torch.sparse_csr``.
    """
    order = torch.argsort(row * rows + column, stable=True)
    return csr_matrix(row_starts(row, rows), column[order], values[order], (rows, rows))


def row_starts(row: Tensor, rows: int) -> Tensor:
    """Returns the first entry of each row, then the number of entries, ``(rows + 1,)`` int64.

    Args:
        row: row of each entry, ``(entries,)`` int64, in any order.
        rows: number of rows.
    """
    starts = torch.zeros(rows + 1, dtype=torch.int64, device=row.device)
    starts[1:] = torch.bincount(row, minlength=rows).cumsum(0)
    return starts


def csr_matrix(starts: Tensor, columns: Tensor, values: Tensor, shape: tuple[int, int]) -> Tensor:
    """Returns a matrix of given compressed sparse rows, which are not checked.

    Args:
        starts: first entry of each row, then their number, ``(rows + 1,)`` int64.
        columns: column of each entry, rising within a row, ``(entries,)`` int64.
        values: value of each entry, ``(entries,)``.
        shape: number of rows and of columns.
    """
    with warnings.catch_warnings():
        # torch calls the layout "beta" on first use; the few operations needed here are compared with dense ones in tests.
        warnings.filterwarnings("ignore", "Sparse", UserWarning)
        return torch.sparse_csr_tensor(starts, columns, values, shape, check_invariants=False)


@torch.library.custom_op("automl_graph::sparse_product", mutates_args=())
def sparse_product(matrix: Tensor, transposed: Tensor, x: Tensor) -> Tensor:
    """Returns ``matrix @ x``.

    Args:
        matrix: ``(m, n)`` in compressed sparse row form; receives no gradient.
        transposed: its transpose in the same form.
        x: ``(n, width)`` in the dtype of ``matrix``.

    Returns:
        ``(m, width)``.

    Cost:
        ``entries * width`` multiply-accumulates, forward and again backward.
    """
    return matrix @ x


@sparse_product.register_fake
def _(matrix: Tensor, transposed: Tensor, x: Tensor) -> Tensor:
    return x.new_empty(matrix.shape[0], x.shape[1])


def _keep_matrices(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor) -> None:
    ctx.matrix, ctx.transposed, _ = inputs


def _backward(ctx: Any, gradient: Tensor) -> tuple[None, None, Tensor]:
    return None, None, sparse_product(ctx.transposed, ctx.matrix, gradient.contiguous())


sparse_product.register_autograd(_backward, setup_context=_keep_matrices)


@register_flop_formula(torch.ops.automl_graph.sparse_product, get_raw=True)
def _count(matrix: Tensor, transposed: Tensor, x: Tensor, *, out_val: Tensor | None = None) -> int:
    return 2 * int(matrix.values().numel()) * int(x.shape[1])
