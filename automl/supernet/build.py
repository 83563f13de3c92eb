"""From a search space and a task to a supernet; for skeletons: resolves blocks, creates dimensions, checks that signals fit."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from automl.elastic import Choice, Concat, Repeat
from automl.errors import ConfigError, MissingExtraError, PluginError, SpaceError, UnknownNameError, did_you_mean
from automl.host import Family, Host
from automl.space import Categorical, Ordinal, Rule, SizeLike, as_categorical, as_ordinal, restrict
from automl.supernet.definition import SpaceDefinition
from automl.supernet.network import SkeletonNetwork, SlotNetwork
from automl.supernet.schema import BlockEntry, Skeleton, Slot, read_skeleton
from automl.supernet.signals import PayloadFormat, Signal
from automl.supernet.supernet import Supernet
from automl.tasks.task import Task
from automl.yaml_file import read_yaml

__all__ = ["build_skeleton", "build_supernet", "load_skeleton", "restricted_supernet"]

_log = logging.getLogger(__name__)


def load_skeleton(space: str, host: Host) -> SpaceDefinition:
    """Returns the definition of an installed space, or of a YAML file given by its path.

    A file with the key ``kind`` is read by the installed space kind of that name, any other as a skeleton of slots.

    Raises:
        UnknownNameError: neither a space nor a file; offers the nearest names.
        ConfigError: the file is malformed.
    """
    spaces = host.components("space")
    if space in spaces:
        return _read(host.find("space", space).load(), host)
    path = Path(space)
    if path.suffix in (".yaml", ".yml"):
        return _read(path, host)
    host.find("space", space)
    raise UnknownNameError("search space", space, spaces)


def _read(path: Path, host: Host) -> SpaceDefinition:
    file = read_yaml(path)
    if not isinstance(file.data, dict) or "kind" not in file.data:
        return read_skeleton(path)
    kind: type[SpaceDefinition] = host.find("space-kind", str(file.data["kind"]), where=file.where(("kind",))).load()
    return kind.parse(file)


def build_supernet(skeleton: SpaceDefinition, task: Task, host: Host) -> Supernet:
    """Builds the supernet of a search space for a task.

    Args:
        skeleton: the validated search space, of any kind.
        task: gives the width of the input, the number of outputs and the default head.
        host: where blocks and signal kinds are looked up.

    Raises:
        ConfigError: a block is unknown or does not fit its slot, an option is wrong, or widths or scales do not match.
    """
    if skeleton.input != task.signal:
        raise ConfigError(
            f"{skeleton.where(('input',))}: the space takes the signal {skeleton.input!r}, the task gives {task.signal!r}; "
            "use a space or data that fit."
        )
    return skeleton.build(task, host)


def build_skeleton(skeleton: Skeleton, task: Task, host: Host) -> Supernet:
    """Builds the supernet of a skeleton of slots; see ``build_supernet``."""
    return _Builder(skeleton, task, host).build()


def restricted_supernet(definition: SpaceDefinition, network: nn.Module, *, forbidden: Sequence[Rule] = ()) -> Supernet:
    """Returns a network as a supernet without forbidden combinations, of which dimensions keep what ``only`` lists.

    Raises:
        ConfigError: a rule or an entry of ``only`` does not fit the space; names its line.
    """
    try:
        supernet = Supernet(network, forbidden=forbidden)
    except SpaceError as error:
        raise ConfigError(f"{definition.where(('forbid',))}: {error}") from error
    if not definition.only:
        return supernet
    key: tuple[str, ...] = ("only",)
    try:
        for name, values in definition.kept.items():
            key = ("only", name)
            restrict(supernet.space, {name: values})
        key = ("only",)
        return Supernet(network, forbidden=forbidden, only=definition.kept)
    except SpaceError as error:
        raise ConfigError(f"{definition.where(key)}: {str(error).removeprefix(f'{key[-1]}: ')}") from error


class _Builder:
    def __init__(self, skeleton: Skeleton, task: Task, host: Host) -> None:
        self.skeleton = skeleton
        self.task = task
        self.host = host
        self.formats: dict[str, PayloadFormat] = {}
        self.signals = {"input": Signal(skeleton.input, task.input_width)}
        self.slots: dict[str, SlotNetwork] = {}

    def build(self) -> Supernet:
        skeleton = self.skeleton
        for name in skeleton.order():
            self.slots[name] = self._slot(name, skeleton.slots[name])
        network = SkeletonNetwork(
            self.slots,
            sources={name: slot.sources for name, slot in skeleton.slots.items()},
            output=skeleton.output,
            head=self._head(self.signals[skeleton.output]),
            payload=self._format(skeleton.input),
        )
        return restricted_supernet(skeleton, network, forbidden=skeleton.rules)

    def _format(self, kind: str) -> PayloadFormat:
        if kind not in self.formats:
            component = self.host.find("signal", kind, where=self.skeleton.where(("input",)))
            self.formats[kind] = component.load().for_task(self.task)
        return self.formats[kind]

    def _slot(self, name: str, slot: Slot) -> SlotNetwork:
        key = ("slots", name)
        sources = [self.signals[s] for s in slot.sources]
        kind, scale = sources[0].kind, sources[0].scale
        for source, signal in zip(slot.sources, sources, strict=True):
            if (signal.kind, signal.scale) != (kind, scale):
                raise ConfigError(
                    f"{self.skeleton.where((*key, 'from'))}: inputs differ: {slot.sources[0]!r} is {kind} at 1/{scale} of the "
                    f"input's resolution, {source!r} is {signal.kind} at 1/{signal.scale}; give them the same strides."
                )
        merge, inp = self._merge(slot, sources, key)
        width = self._width(slot, inp, key)
        depth: int | Ordinal = as_ordinal(slot.depth)  # type: ignore[assignment]
        smallest_depth = depth.minimum if isinstance(depth, Ordinal) else depth
        if smallest_depth == 0 and (slot.stride != 1 or width is not inp):
            raise ConfigError(
                f"{self.skeleton.where((*key, 'depth'))}: a slot that can have depth 0 passes its input on, so it needs "
                "stride 1 and no width of its own."
            )
        largest_depth = int(depth.maximum if isinstance(depth, Ordinal) else depth)
        families = self._candidates(name, slot, kind)
        produced = {family.produces for family, _ in families}
        if len(produced) != 1 or (largest_depth > 1 and produced != {kind}):
            raise ConfigError(
                f"{self.skeleton.where((*key, 'blocks'))}: blocks must give one kind of signal, and take what they give "
                f"where depth exceeds 1; these take {kind} and give {', '.join(sorted(produced))}."
            )
        blocks = [
            self._block(name, families, inp if i == 0 else width, width, slot.stride if i == 0 else 1)
            for i in range(largest_depth)
        ]
        self.signals[name] = Signal(produced.pop(), width, scale * slot.stride)
        return SlotNetwork(
            Repeat(blocks, depth),
            width=width,
            depth=depth,
            payload=self._format(kind),
            merge=merge,
            jump=self._jump(slot, largest_depth, key),
        )

    def _jump(self, slot: Slot, largest_depth: int, key: tuple[str, str]) -> str | Categorical:
        if slot.jump != "last" and largest_depth < 2:
            raise ConfigError(
                f"{self.skeleton.where((*key, 'jump'))}: a slot of one block has one output; give it a depth above 1, or "
                "leave 'jump' out."
            )
        return as_categorical(slot.jump)  # type: ignore[return-value]

    def _merge(
        self, slot: Slot, sources: Sequence[Signal], key: tuple[str, str]
    ) -> tuple[Concat | str | None, SizeLike]:
        widths = [signal.width for signal in sources]
        if len(widths) == 1:
            return None, widths[0]
        if slot.merge == "concat":
            concat = Concat(widths, dim=self._format(sources[0].kind).channel_axis)
            return concat, concat.width
        for source, width in zip(slot.sources, widths, strict=True):
            same = width is widths[0] or (isinstance(width, int) and width == widths[0])
            if not same:
                raise ConfigError(
                    f"{self.skeleton.where((*key, 'from'))}: 'merge: sum' needs equal widths, but {slot.sources[0]!r} and "
                    f"{source!r} choose theirs independently; couple them with 'width: {slot.sources[0]}' in {source!r}."
                )
        return "sum", widths[0]

    def _width(self, slot: Slot, inp: SizeLike, key: tuple[str, str]) -> SizeLike:
        if slot.width is None:
            return inp
        if isinstance(slot.width, str):
            if slot.width not in self.slots:
                raise ConfigError(
                    f"{self.skeleton.where((*key, 'width'))}: no slot before this one is called {slot.width!r}."
                    f"{did_you_mean(slot.width, self.slots)}"
                )
            return self.slots[slot.width].width
        return as_ordinal(slot.width)  # type: ignore[return-value]

    def _candidates(self, name: str, slot: Slot, kind: str) -> list[tuple[Family, dict[str, Any]]]:
        """Resolves the names of a slot's blocks; ``"*"`` stands for every installed block that fits, in order of name."""
        result: dict[str, tuple[Family, dict[str, Any]]] = {}
        for position, entry in enumerate(slot.blocks):
            where = self.skeleton.where(("slots", name, "blocks", position))
            block, options = _name_and_options(entry)
            if block == "*":
                for family in self._fitting(kind, slot.stride):
                    result.setdefault(family.name, (family, {}))
                continue
            family = self._family(block, where)
            if family.accepts != kind:
                fitting = [f.name for f in self._fitting(kind, slot.stride)]
                raise ConfigError(
                    f"{where}: {block!r} takes {family.accepts}, here comes {kind}. Fitting: {', '.join(fitting)}."
                )
            if block in result:
                raise ConfigError(
                    f"{where}: {block!r} stands here twice; keep one, its options may list several choices."
                )
            result[block] = (family, options)
        if not result:
            raise ConfigError(
                f"{self.skeleton.where(('slots', name, 'blocks'))}: no installed block takes and gives {kind}; "
                "'automl families' lists what is installed."
            )
        return list(result.values())

    def _family(self, name: str, where: str) -> Family:
        family = self.host.find("family", name, where=where)
        assert isinstance(family, Family)
        return family

    def _fitting(self, kind: str, stride: int) -> list[Family]:
        fitting = []
        for _, family in sorted(self.host.components("family").items()):
            assert isinstance(family, Family)
            if (family.accepts, family.produces) != (kind, kind) or family.by_name_only:
                continue
            try:
                takes_stride = "stride" in inspect.signature(family.load()).parameters
            except (MissingExtraError, PluginError) as error:
                _log.warning("the block %s is left out of '*': %s", family.name, error)
                continue
            if takes_stride or stride == 1:
                fitting.append(family)
        return fitting

    def _block(
        self, slot: str, families: Sequence[tuple[Family, dict[str, Any]]], inp: SizeLike, out: SizeLike, stride: int
    ) -> nn.Module:
        where = self.skeleton.where(("slots", slot, "blocks"))
        candidates = {f.name: self._instance(f, options, inp, out, stride, where) for f, options in families}
        return next(iter(candidates.values())) if len(candidates) == 1 else Choice(candidates)

    def _instance(
        self, family: Family, options: dict[str, Any], inp: SizeLike, out: SizeLike | int, stride: int, where: str
    ) -> nn.Module:
        block = family.load()
        parameters = inspect.signature(block).parameters
        facts = {n: fact for n, fact in self._format(family.accepts).facts().items() if n in parameters}
        known = [n for n, p in parameters.items() if p.kind is p.KEYWORD_ONLY and n != "stride" and n not in facts]
        for option in options:
            if option not in known:
                raise ConfigError(f"{where}: {family.name} has no option {option!r}.{did_you_mean(option, known)}")
        extra: dict[str, Any] = facts
        if "stride" in parameters:
            extra["stride"] = stride
        elif stride != 1:
            raise ConfigError(f"{where}: {family.name} cannot down-sample; the slot has stride {stride}.")
        try:
            module: nn.Module = block(inp, out, **extra, **options)
        except (SpaceError, TypeError, ValueError) as error:
            shown = f" with {options}" if options else ""
            raise ConfigError(f"{where}: {family.name}{shown}, {inp!r} → {out!r}: {error}") from error
        return module

    def _head(self, signal: Signal) -> nn.Module:
        where = self.skeleton.where(("head",))
        heads = [_name_and_options(entry) for entry in self.skeleton.heads]
        names = [name for name, _ in heads]
        for name in names:
            if names.count(name) > 1:
                raise ConfigError(
                    f"{where}: {name!r} stands here twice; keep one, its options may list several choices."
                )
        candidates = {name: self._head_block(name, options, signal, where) for name, options in heads}
        return candidates[names[0]] if len(candidates) == 1 else Choice(candidates)

    def _head_block(self, name: str, options: dict[str, Any], signal: Signal, where: str) -> nn.Module:
        if name == "auto":
            head = self.task.head(signal.width)
            if head is None:
                raise ConfigError(f"{where}: this task has no head of its own; name a head block.")
            return head
        family = self._family(name, where)
        if (family.accepts, family.produces) != (signal.kind, "logits"):
            raise ConfigError(
                f"{where}: {name!r} maps {family.accepts} to {family.produces}; a head here maps {signal.kind} to logits."
            )
        return self._instance(family, options, signal.width, self.task.outputs, 1, where)


def _name_and_options(entry: BlockEntry) -> tuple[str, dict[str, Any]]:
    if isinstance(entry, str):
        return entry, {}
    ((name, options),) = entry.items()
    return name, dict(options or {})
