"""The network of a skeleton: slots in topological order, then a head. Plain torch code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from automl.elastic import Concat, Repeat
from automl.elastic.validation import every_setting
from automl.space import Categorical, Guard, Ordinal, SizeLike
from automl.supernet.signals import PayloadFormat
from automl.supernet.stages import Stage, Staged

__all__ = ["SkeletonNetwork", "SlotNetwork"]


class SlotNetwork(nn.Module):
    """One slot: joins its inputs, then runs its blocks, whose outputs may jump to its end.

    Args:
        blocks: an elastic ``Repeat`` of the blocks, payload to payload.
        width: width of the output.
        depth: number of blocks.
        payload: format of the input.
        merge: ``"sum"``, an elastic ``Concat``, or ``None`` for a single input.
        jump: ``"last"``, the output of the last block; ``"max"`` or ``"mean"`` of the features behind each block; or a
            ``Categorical`` of these, which exists where there are several blocks.

    Source:
        Jumping knowledge: Xu et al. 2018, arXiv:1806.03536, section 4. Concatenation and attention by an LSTM are left out,
        since the width of the result would depend on the depth, or the jump would have weights of its own.
    """

    def __init__(
        self,
        blocks: nn.Module,
        *,
        width: SizeLike,
        depth: int | Ordinal,
        payload: PayloadFormat,
        merge: Concat | str | None = None,
        jump: str | Categorical = "last",
    ) -> None:
        super().__init__()
        self.width = width
        self.depth = depth
        self.payload = payload
        self.blocks = blocks
        self.jump = jump
        self.concat = merge if isinstance(merge, nn.Module) else None

    def forward(self, payloads: Sequence[Any]) -> Any:
        """Maps the payloads of all sources to one payload."""
        if len(payloads) == 1:
            joined = payloads[0]
        elif self.concat is not None:
            features = self.concat(*(self.payload.features(p) for p in payloads))
            joined = self.payload.with_features(payloads[0], features)
        else:
            joined = self.payload.add(payloads)
        if not self.jumps:
            return self.blocks(joined)
        outputs = []
        for block in self._active():
            joined = block(joined)
            outputs.append(joined)
        return self.payload.maximum(outputs) if self._jump == "max" else self.payload.mean(outputs)

    def conditions(self) -> dict[str, Guard]:
        """Where there is one block, nothing jumps."""
        return {"jump": Guard.above(self.depth, 1)} if isinstance(self.depth, Ordinal) else {}

    @property
    def jumps(self) -> bool:
        """Whether the outputs of several blocks leave the slot."""
        return self._jump != "last" and len(self._active()) > 1

    @property
    def _jump(self) -> str:
        return str(self.jump.value if isinstance(self.jump, Categorical) else self.jump)

    def _active(self) -> list[nn.Module]:
        return self.blocks.active() if isinstance(self.blocks, Repeat) else list(self.blocks.children())


class SkeletonNetwork(nn.Module):
    """Slots wired as the skeleton says.

    Args:
        slots: the slots by name, every slot after its sources.
        sources: names of the sources of each slot; ``"input"`` is the packed input.
        output: slot that feeds the head.
        head: payload to output tensor.
        payload: format of the network's input.

    Shape:
        Positional input tensors as the task gives them; returns ``(rows, outputs)``.
    """

    def __init__(
        self,
        slots: Mapping[str, SlotNetwork],
        *,
        sources: Mapping[str, Sequence[str]],
        output: str,
        head: nn.Module,
        payload: PayloadFormat,
    ) -> None:
        super().__init__()
        self.sources = {name: tuple(sources[name]) for name in slots}
        self.output = output
        self.payload = payload
        for name, slot in slots.items():
            self.add_module(name, slot)
        self.head = head

    def forward(self, *inputs: Tensor) -> Tensor:
        """Runs all slots and the head."""
        values = {"input": self.payload.pack(*inputs)}
        for name, sources in self.sources.items():
            values[name] = self.get_submodule(name)([values[source] for source in sources])
        result: Tensor = self.head(values[self.output])
        return result

    def stages(self) -> list[Stage]:
        """Returns one stage for each slot behind which a single value is alive; slots in parallel belong to the next of these.

        A slot of one block that has stages of its own gives those.
        """
        stages: list[Stage] = []
        pending: list[nn.Module] = []
        names = list(self.sources)
        for position, name in enumerate(names):
            slot = self.get_submodule(name)
            assert isinstance(slot, SlotNetwork)
            pending.append(slot)
            needed = {self.output, *(source for other in names[position + 1 :] for source in self.sources[other])}
            if needed & {"input", *names[: position + 1]} != {name}:
                continue
            children = list(slot.blocks.children())
            if pending == [slot] and len(children) == 1 and isinstance(children[0], Staged):
                stages += children[0].stages()
            else:
                widths = tuple(sorted({width for (width,) in every_setting(slot.width)}))
                stages.append(Stage(slot, tuple(pending), widths, slot.payload))
            pending = []
        return stages
