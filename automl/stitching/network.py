"""The stitched supernet: anchors side by side, stitching layers between them, and one dimension that chooses the path.

Source:
    Pan, Cai, Zhuang 2023 (SN-Net), arXiv:2302.06586, section 3.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, Self, cast, final

from torch import Tensor, nn

from automl.space import Categorical
from automl.supernet.chain import ChainNetwork

__all__ = ["Path", "StitchedNetwork"]


class Path(NamedTuple):
    """One network inside a stitched one.

    Attributes:
        front: anchor that the path begins with.
        leave: number of segments of the front that run.
        layer: number of the stitching layer; None for an anchor alone.
        back: anchor that the path ends with.
        enter: first segment of the back that runs.
    """

    front: str
    leave: int
    layer: int | None = None
    back: str = ""
    enter: int = 0


@final
class StitchedNetwork(nn.Module):
    """Anchors and the paths that begin in one and end in another.

    Args:
        anchors: segments of each anchor by its name, as ``split_network`` gives them.
        layers: the stitching layers.
        paths: the choices of the dimension ``stitch``, the cheapest first.
        teacher: a network whose answers a strategy may learn from; stays as it is, and is part of no path.
        train_anchors: let training change the anchors; otherwise only the stitching layers learn.

    Shape:
        As the anchors.

    Specialised:
        A ``ChainNetwork`` of copies of the segments on the path; equal to the anchor where the path is one.
    """

    def __init__(
        self,
        anchors: Mapping[str, Sequence[nn.Module]],
        layers: Sequence[nn.Module],
        paths: Mapping[str, Path],
        *,
        teacher: nn.Module | None = None,
        train_anchors: bool = True,
    ) -> None:
        super().__init__()
        self.stitch = Categorical(*paths)
        self.anchors = nn.ModuleDict({name: nn.ModuleList(segments) for name, segments in anchors.items()})
        self.layers = nn.ModuleList(layers)
        self.teacher = None if teacher is None else teacher.eval().requires_grad_(False)
        self._train_anchors: Final = train_anchors
        self._paths: Final = dict(paths)
        self.anchors.requires_grad_(train_anchors)

    def active(self) -> list[nn.Module]:
        """Returns the segments on the chosen path."""
        path = self._paths[cast(str, self.stitch.value)]
        segments = list(cast(nn.ModuleList, self.anchors[path.front]))[: path.leave]
        if path.layer is not None:
            segments.append(self.layers[path.layer])
            segments += list(cast(nn.ModuleList, self.anchors[path.back]))[path.enter :]
        return segments

    def forward(self, *inputs: Tensor) -> Tensor:
        """Runs the chosen path."""
        value: Tensor = inputs  # type: ignore[assignment]  # the first segment takes all inputs
        for segment in self.active():
            value = segment(value)
        return value

    def train(self, mode: bool = True) -> Self:
        """Sets the mode of what is trained; what is not stays in evaluation mode."""
        super().train(mode)
        if not self._train_anchors:
            self.anchors.eval()
        if self.teacher is not None:
            self.teacher.eval()
        return self

    def specialise(self) -> ChainNetwork:
        """Returns the chosen path with copied weights."""
        return ChainNetwork(copy.deepcopy(self.active())).train(self.training)
