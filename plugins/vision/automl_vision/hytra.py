"""HyTra: a fabric of convolutions and attention whose places of down-sampling are searched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from automl import elastic
from automl.elastic import specialise
from automl.errors import SpaceError
from automl.space import Categorical, Guard, SizeLike
from automl.supernet import Stage
from automl_vision.hybrid_block import HybridBlock, bottleneck_body
from automl_vision.hytra_paths import block_paths, candidates, end_scale, entered_scales, steps
from automl_vision.initialisation import initialise_convolutions
from automl_vision.options import fixed_option

__all__ = ["HyTra", "HyTraStage"]


class HyTra(nn.Module):
    """Layers in stages, each layer a convolution or attention at one of several scales, and a convolution to the output.

    Every stage has one dimension for each scale at which it can be entered: the path through its layers, such as
    ``"conv1-conv1-att2-att2"``. The resolution never grows, and falls by one scale at most from layer to layer.

    Args:
        inp: width of the input, in channels.
        out: width of the output, in channels.
        stride: step between output pixels, in input pixels; a power of two. There are ``log2(stride) + 1`` scales.
        layers: layers of each stage.
        available: for each stage the number of scales that it may use, counted from the smallest.
        width: channels at the first scale; they double with each further one.
        reduction: width of a scale divided by that of its bottlenecks.
        head_dim: width of an attention head, in channels.

    Attributes:
        blocks: the stages in order.

    Shape:
        x: ``[N, inp, H, W]``. Returns ``[N, out, ceil(H / stride), ceil(W / stride)]``.

    Cost:
        At width ``w`` and ``m = w / reduction``, for each of ``p`` pixels: ``2 * w * m + 9 * m * (m + 1)`` multiply-accumulates
        of a convolutional layer, ``2 * w * m + 9 * m + 2 * m * (2 * m + p)`` of attention with ``m`` features in all heads.

    Raises:
        SpaceError: the stride is no power of two, a number is below 1, or a stage cannot be entered behind the one before.

    Source:
        Li et al. 2021 (BossNAS), arXiv:2103.12424, section 4. Deviations: resolution falls by one scale at most also between
        stages, as the layers can only do that; a convolution brings all last scales to the same output; attention has an
        output projection.

    Example:
        >>> net = HyTra(3, 8, stride=2, layers=1, available=[2, 1])
        >>> net(torch.randn(2, 3, 5, 7)).shape
        torch.Size([2, 8, 3, 4])
    """

    def __init__(
        self,
        inp: SizeLike,
        out: SizeLike,
        *,
        stride: int = 1,
        layers: int = 2,
        available: Sequence[int] = (4, 3),
        width: int = 8,
        reduction: int = 4,
        head_dim: int = 8,
    ) -> None:
        super().__init__()
        layers, width = fixed_option("layers", layers), fixed_option("width", width)
        reduction, head_dim = fixed_option("reduction", reduction), fixed_option("head_dim", head_dim)
        if stride & (stride - 1):
            raise SpaceError(f"stride: {stride} is not valid; it must be a power of two.")
        scales = stride.bit_length()
        self.widths = tuple(width << scale for scale in range(scales))
        self.blocks = nn.ModuleList()
        entries, before = [0], None
        for number, count in enumerate(available):
            usable = min(fixed_option("available", count), scales)
            stage = HyTraStage(
                inp if before is None else None,
                self.widths,
                layers=layers,
                available=usable,
                entries=entries,
                before=before,
                reduction=reduction,
                head_dim=head_dim,
            )
            self.blocks.append(stage)
            if stage.dead_ends:
                raise SpaceError(
                    f"available: stage {number + 1} may use {usable} scales, which cannot be reached from scale "
                    f"{stage.dead_ends[0]} behind stage {number}; let the numbers fall by one at most."
                )
            entries, before = stage.ends, stage
        if before is None:
            raise SpaceError("available: no stage is given; list at least one number.")
        self.to_output = nn.ModuleDict({str(s): _to_output(self.widths[s], out, scales - 1 - s) for s in before.ends})
        initialise_convolutions(self)

    def forward(self, x: Tensor) -> Tensor:
        """Runs the path of each stage."""
        for stage in self.blocks:
            x = stage(x)
        y: Tensor = self.to_output[str(self.widths.index(x.shape[1]))](x)
        return y

    def stages(self) -> list[Stage]:
        """Returns the parts that can be trained one after another."""
        return [Stage(stage, (stage,), self.widths) for stage in self.blocks]

    def specialise(self) -> nn.Module:
        """Returns the layers of all paths and the convolution to the output, as ``nn.Sequential``."""
        scale, parts = 0, []
        for stage in self.blocks:
            assert isinstance(stage, HyTraStage)
            parts.append(nn.Sequential(*map(specialise, stage.active(scale))).train(self.training))
            scale = end_scale(stage.path(scale))
        return nn.Sequential(*parts, specialise(self.to_output[str(scale)])).train(self.training)


class HyTraStage(nn.Module):
    """Some layers of the fabric, entered at the scale that the stage before ends at.

    Args:
        inp: width of the input of the fabric for the first stage, else None.
        widths: channels at each scale.
        layers: number of layers.
        available: scales that the layers may use, counted from the smallest.
        entries: scales at which the layers before may end.
        before: the stage before, or None.
        reduction: width of a scale divided by that of its bottlenecks.
        head_dim: width of an attention head, in channels.

    Attributes:
        ends: scales at which a path may end.
        dead_ends: scales of ``entries`` behind which there is no path.

    Shape:
        x: ``[N, inp, H, W]``, or ``[N, widths[s], H, W]`` at scale ``s``. Returns
            ``[N, widths[t], H / 2**(t - s), W / 2**(t - s)]``, rounded up.
    """

    def __init__(
        self,
        inp: SizeLike | None,
        widths: Sequence[int],
        *,
        layers: int,
        available: int,
        entries: Sequence[int],
        before: HyTraStage | None,
        reduction: int,
        head_dim: int,
    ) -> None:
        super().__init__()
        scales = len(widths)
        starts = {entry: entered_scales(entry, scales, available) for entry in entries}
        self.dead_ends = [entry for entry, reached in starts.items() if not reached]
        self._paths = {e: Categorical(*block_paths(s, layers, scales)) for e, s in starts.items() if s}
        self.ends = sorted({end_scale(str(path)) for dimension in self._paths.values() for path in dimension.choices})
        self._widths = {width: scale for scale, width in enumerate(widths)}
        self._first = inp is not None
        self._guards: dict[str, Guard] = {}
        for entry, dimension in self._paths.items():
            self._hold(entry, dimension, before)
        self.layers = nn.ModuleList(
            _candidates(
                inp if number == 0 else None,
                widths,
                range(scales - available, scales),
                min(self._paths, default=0) if number == 0 else scales - available,
                reduction=reduction,
                head_dim=head_dim,
            )
            for number in range(layers)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Runs the layers of the path; the width of the input tells its scale."""
        for layer in self.active(0 if self._first else self._widths[x.shape[1]]):
            x = layer(x)
        return x

    def path(self, entry: int) -> str:
        """Returns the active path behind a layer at scale ``entry``."""
        return str(self._paths[entry].value)

    def active(self, entry: int) -> list[nn.Module]:
        """Returns the layers of the active path behind a layer at scale ``entry``."""
        chosen = []
        for layer, (name, scale) in zip(self.layers, steps(self.path(entry)), strict=True):
            assert isinstance(layer, nn.ModuleDict)
            chosen.append(layer[f"{name}_{'down' if scale > entry else 'same'}"])
            entry = scale
        return chosen

    def conditions(self) -> Mapping[str, Guard]:
        """Returns for each path dimension the guards that the stage before ends where it begins."""
        return self._guards

    def _hold(self, entry: int, dimension: Categorical, before: HyTraStage | None) -> None:
        """Makes a dimension one of this module, once for each way to come to its scale."""
        if before is None:
            self.add_module(f"entry{entry}", _Path(dimension))
            return
        for source, path in before._paths.items():
            ending = frozenset(p for p in path.choices if end_scale(str(p)) == entry)
            if ending:
                first = f"entry{entry}" not in self._modules
                name = f"entry{entry}" if first else f"entry{entry}_via{source}"
                self.add_module(name, _Path(dimension))
                self._guards[name] = Guard(path, ending)


class _Path(nn.Module):
    """Holds the dimension of a path; nothing to run."""

    def __init__(self, path: Categorical) -> None:
        super().__init__()
        self.path = path


def _candidates(
    inp: SizeLike | None,
    widths: Sequence[int],
    own: Sequence[int],
    lowest_source: int,
    *,
    reduction: int,
    head_dim: int,
) -> nn.ModuleDict:
    """All candidates of one layer: for each operation and scale one body, entered at the same scale or from the next larger."""
    layer = nn.ModuleDict()
    for scale in own:
        width = widths[scale]
        middle = max(1, width // reduction)
        for name in candidates(scale, len(widths)):
            body = bottleneck_body("att" if name.startswith("att") else "conv", middle, width, head_dim)
            for source, entrance, stride in ((scale, "same", 1), (scale - 1, "down", 2)):
                if source >= lowest_source and (inp is None or source == 0):
                    incoming = widths[source] if inp is None else inp
                    layer[f"{name}_{entrance}"] = HybridBlock(incoming, middle, width, body, stride=stride)
    return layer


def _to_output(inp: int, out: SizeLike, halvings: int) -> nn.Module:
    stride = 1 << halvings
    return nn.Sequential(
        elastic.Conv2d(inp, out, 2 * stride - 1, stride=stride, bias=False), elastic.BatchNorm2d(out), nn.ReLU()
    )
