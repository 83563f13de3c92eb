"""Component records: what a plugin says about its components before anything heavy is imported.

A record names the component and where its class lives; the class is imported when it is first used. Hooks of a plugin
return lists of these records, so listing every installed component costs no import of torch or of a component.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from automl.errors import MissingExtraError, PluginError, did_you_mean

__all__ = [
    "KINDS",
    "Component",
    "Compressor",
    "Exporter",
    "Family",
    "Importable",
    "Objective",
    "Probe",
    "Runtime",
    "Searcher",
    "SignalKind",
    "Space",
    "SpaceKind",
    "Strategy",
    "Task",
]

_WORD = "[a-z][a-z0-9_-]*"
_NAME = re.compile(rf"{_WORD}(\.{_WORD})?")
_SPACE_NAME = re.compile(rf"{_WORD}/{_WORD}(\.{_WORD})?")
_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_TARGET = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


@dataclass(frozen=True, kw_only=True)
class Component(ABC):
    """What every component declares.

    Attributes:
        kind: what sort of component it is, such as ``"family"``.
        hook: the hook that returns components of this kind.
        name: what users write: ``word`` or ``package.word`` in lower case; spaces are called ``signal/word``.
        summary: one line for the lists that the commands print.

    Raises:
        PluginError: an attribute is malformed; the message names record, attribute and value.
    """

    kind: ClassVar[str]
    hook: ClassVar[str]
    _name_form: ClassVar[tuple[re.Pattern[str], str]] = (_NAME, "'word' or 'package.word' in lower case")

    name: str
    summary: str

    def __post_init__(self) -> None:
        self._require_match("name", self.name, *self._name_form)
        if not isinstance(self.summary, str) or not self.summary.strip() or "\n" in self.summary:
            self._refuse("summary", self.summary, "one line of text")

    @abstractmethod
    def load(self) -> Any:
        """Returns what the record stands for, importing it on first use."""

    def _require_match(self, attribute: str, value: object, pattern: re.Pattern[str], expected: str) -> None:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            self._refuse(attribute, value, expected)

    def _refuse(self, attribute: str, value: object, expected: str) -> None:
        raise PluginError(f"{type(self).__name__} {self.name!r}: {attribute} must be {expected}, got {value!r}.")


@dataclass(frozen=True, kw_only=True)
class Importable(Component):
    """A component that is a Python class.

    Attributes:
        target: where the class is: ``package.module:Class``.
        requires: modules that must be importable before the target is, such as ``("onnxruntime",)``.
        extra: what pip has to install to get them, such as ``"automl-supernets[export]"``; empty: what is missing.
    """

    target: str
    requires: tuple[str, ...] = ()
    extra: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_match("target", self.target, _TARGET, "'package.module:Class'")
        if not isinstance(self.requires, tuple):
            self._refuse("requires", self.requires, "a tuple of module names")
        for module in self.requires:
            self._require_match("requires", module, _MODULE, "a tuple of module names")

    def missing(self) -> list[str]:
        """Returns the modules of ``requires`` that are not installed; imports none of them."""
        return [module for module in self.requires if not _installed(module)]

    def load(self) -> Any:
        """Imports the target on first use and returns it.

        Raises:
            MissingExtraError: a module of ``requires`` is not installed; the message holds the pip command.
            PluginError: the target cannot be imported, or its module has no such attribute.
        """
        missing = self.missing()
        if missing:
            wanted = f"'{self.extra}'" if self.extra else " ".join(missing)
            raise MissingExtraError(
                f"{self.kind} {self.name!r} needs {', '.join(missing)}, which is not installed. "
                f"Install it with: pip install {wanted}"
            )
        module_name, attribute = self.target.split(":")
        try:
            module = importlib.import_module(module_name)
        except Exception as error:
            raise PluginError(
                f"{self.kind} {self.name!r}: cannot import {self.target!r}: {type(error).__name__}: {error}"
            ) from error
        try:
            return getattr(module, attribute)
        except AttributeError:
            public = [name for name in vars(module) if not name.startswith("_")]
            raise PluginError(
                f"{self.kind} {self.name!r}: module {module_name!r} has no {attribute!r}."
                f"{did_you_mean(attribute, public)}"
            ) from None


@dataclass(frozen=True, kw_only=True)
class Family(Importable):
    """A block of a network family, built as ``Block(inp, out, *, stride=1, **options)``.

    Attributes:
        accepts: signal kind that the block takes, such as ``"image"``.
        produces: signal kind that it gives, or ``"logits"`` for a head.
        by_name_only: no candidate where a slot takes any block (``"*"``); for blocks that are whole
            networks, or too costly to be tried in every space.
    """

    kind: ClassVar[str] = "family"
    hook: ClassVar[str] = "automl_families"

    accepts: str
    produces: str
    by_name_only: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_match("accepts", self.accepts, _NAME, "the name of a signal kind")
        self._require_match("produces", self.produces, _NAME, "the name of a signal kind or 'logits'")


@dataclass(frozen=True, kw_only=True)
class SignalKind(Importable):
    """A kind of payload that flows between blocks."""

    kind: ClassVar[str] = "signal"
    hook: ClassVar[str] = "automl_signals"


@dataclass(frozen=True, kw_only=True)
class Space(Component):
    """A shared search space in YAML.

    Attributes:
        path: the YAML file.
    """

    kind: ClassVar[str] = "space"
    hook: ClassVar[str] = "automl_spaces"
    _name_form: ClassVar[tuple[re.Pattern[str], str]] = (_SPACE_NAME, "'signal/word' in lower case")

    path: str | Path

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.path, str | Path) or Path(self.path).suffix not in (".yaml", ".yml"):
            self._refuse("path", self.path, "the path of a .yaml file")

    def load(self) -> Path:
        """Returns the path of the YAML file.

        Raises:
            PluginError: there is no such file.
        """
        path = Path(self.path)
        if not path.is_file():
            raise PluginError(
                f"space {self.name!r}: there is no file {str(path)!r}; is it part of the installed package?"
            )
        return path


@dataclass(frozen=True, kw_only=True)
class SpaceKind(Importable):
    """A kind of search space file beside the graph of slots, named by the key ``kind`` of the file."""

    kind: ClassVar[str] = "space-kind"
    hook: ClassVar[str] = "automl_space_kinds"


@dataclass(frozen=True, kw_only=True)
class Task(Importable):
    """What is learned: data, head, loss and metrics.

    Attributes:
        signal: signal kind of its inputs.
        default_data: data that it uses when none are named.
    """

    kind: ClassVar[str] = "task"
    hook: ClassVar[str] = "automl_tasks"

    signal: str
    default_data: str

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_match("signal", self.signal, _NAME, "the name of a signal kind")
        if not isinstance(self.default_data, str):
            self._refuse("default_data", self.default_data, "a string")


@dataclass(frozen=True, kw_only=True)
class Strategy(Importable):
    """How a supernet is trained: which subnetworks one step trains, and with what loss."""

    kind: ClassVar[str] = "strategy"
    hook: ClassVar[str] = "automl_strategies"


@dataclass(frozen=True, kw_only=True)
class Searcher(Importable):
    """A search algorithm: proposes architectures and learns from their measurements."""

    kind: ClassVar[str] = "searcher"
    hook: ClassVar[str] = "automl_searchers"


@dataclass(frozen=True, kw_only=True)
class Objective(Importable):
    """A quantity of a network that is minimised.

    Attributes:
        unit: unit of its values in plain text, such as ``"ms"``; empty for pure numbers.
    """

    kind: ClassVar[str] = "objective"
    hook: ClassVar[str] = "automl_objectives"

    unit: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.unit, str):
            self._refuse("unit", self.unit, "a string")


@dataclass(frozen=True, kw_only=True)
class Runtime(Importable):
    """Software that runs a network when its latency is measured."""

    kind: ClassVar[str] = "runtime"
    hook: ClassVar[str] = "automl_runtimes"


@dataclass(frozen=True, kw_only=True)
class Compressor(Importable):
    """A way to make weights zero while a network is trained."""

    kind: ClassVar[str] = "compressor"
    hook: ClassVar[str] = "automl_compressors"


@dataclass(frozen=True, kw_only=True)
class Probe(Importable):
    """A cheap score of an untrained network."""

    kind: ClassVar[str] = "probe"
    hook: ClassVar[str] = "automl_probes"


@dataclass(frozen=True, kw_only=True)
class Exporter(Importable):
    """A file format for extracted networks.

    Attributes:
        suffix: ending of its files with the dot, such as ``".onnx"``.
    """

    kind: ClassVar[str] = "exporter"
    hook: ClassVar[str] = "automl_exporters"

    suffix: str

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.suffix, str) or not re.fullmatch(r"\.\w+", self.suffix):
            self._refuse("suffix", self.suffix, "a file ending such as '.onnx'")


KINDS: dict[str, type[Component]] = {
    record.kind: record
    for record in (
        Family,
        SignalKind,
        Space,
        SpaceKind,
        Task,
        Strategy,
        Searcher,
        Objective,
        Runtime,
        Compressor,
        Probe,
        Exporter,
    )
}
"""Record type of each kind, in the order in which kinds are listed."""


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False
