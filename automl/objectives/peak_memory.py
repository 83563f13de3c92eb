"""Peak memory: bytes of weights and activations that are alive at the same time in one forward."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, final

import torch
from torch import Tensor, UntypedStorage, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from automl.objectives.candidate import Candidate
from automl.objectives.macs import plain_attention
from automl.objectives.objective import Objective
from automl.objectives.size import state_bytes
from automl.objectives.value import Value

__all__ = ["LiveStorages", "PeakMemory", "peak_bytes"]


@final
class PeakMemory(Objective):
    """Bytes of weights, inputs and activations that are alive at the same time, for a batch of one.

    Every tensor that an operator makes is followed until torch frees it, so sharing, views, in-place operators and long
    skip connections are all counted as they are. The number is exact and the same on every machine. What it leaves
    out: scratch memory inside an operator, sparse tensors, the allocator's rounding, and the code itself.
    """

    name: ClassVar[str] = "peak-memory"
    unit: ClassVar[str] = "B"

    def measure(self, candidate: Candidate) -> Value:
        return Value(float(peak_bytes(candidate.model, candidate.example_inputs(1))), context={"batch_size": 1})


def peak_bytes(model: nn.Module, inputs: Sequence[Tensor]) -> int:
    """Returns the peak of bytes alive during ``model(*inputs)``: weights, inputs and activations.

    Example:
        >>> peak_bytes(nn.ReLU(), (torch.zeros(1, 10),))  # 10 floats in, 10 floats out
        80
    """
    held = [*model.parameters(), *model.buffers()]
    tracker = LiveStorages(ignored=[tensor.untyped_storage() for tensor in held])
    for tensor in inputs:
        tracker.watch(tensor)
    gc.collect()  # garbage of earlier work must not be freed, and counted, in the middle
    with torch.no_grad(), plain_attention(), tracker:
        model(*inputs)
    return state_bytes(model) + tracker.peak


class LiveStorages(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sums the bytes of all storages that operators return, until they are freed; used as a context.

    Args:
        ignored: storages that are not counted, such as those of weights.
        sparse: count what compressed sparse matrices are made of, too.

    Attributes:
        peak: the largest sum so far, in bytes.
    """

    def __init__(self, ignored: Sequence[UntypedStorage], *, sparse: bool = False) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak = 0
        self._sparse = sparse
        self._live = 0
        self._ignored = {storage._cdata for storage in ignored}
        self._watched: dict[int, weakref.finalize[..., UntypedStorage]] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        outputs = func(*args, **(kwargs or {}))
        for output in tree_leaves(outputs):
            if isinstance(output, Tensor):
                self.watch(output)
        return outputs

    def watch(self, tensor: Tensor) -> None:
        """Counts the storage of ``tensor`` from now until it is freed; a known one is not counted again."""
        if tensor.layout is not torch.strided:  # such tensors have no storage of their own
            if self._sparse and tensor.layout is torch.sparse_csr:
                for part in (tensor.crow_indices(), tensor.col_indices(), tensor.values()):
                    self.watch(part)
            return
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._ignored or key in self._watched:
            return
        size = storage.nbytes()
        self._live += size
        self.peak = max(self.peak, self._live)
        self._watched[key] = weakref.finalize(storage, self._freed, key, size)

    def _freed(self, key: int, size: int) -> None:
        del self._watched[key]
        self._live -= size
