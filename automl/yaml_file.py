"""YAML files by the safe loader, with the line of every key, so that errors can name it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from automl.errors import ConfigError

__all__ = ["YamlFile", "read_yaml"]


@dataclass(frozen=True)
class YamlFile:
    """Content of a YAML file.

    Attributes:
        path: the file.
        data: its content as plain Python values.
        root: the parsed nodes, which know their lines.
    """

    path: Path
    data: Any
    root: yaml.Node | None

    def where(self, location: Sequence[int | str] = ()) -> str:
        """Returns ``file:line: key.path`` for a path of keys and list positions; the last part that exists gives the line."""
        node, line = self.root, None
        for part in location:
            found = _child(node, part)
            if found is None:
                break
            key, node = found
            line = key.start_mark.line + 1
        prefix = str(self.path) if line is None else f"{self.path}:{line}"
        return ": ".join([prefix, ".".join(map(str, location))] if location else [prefix])


def read_yaml(path: Path) -> YamlFile:
    """Reads one YAML document.

    Raises:
        ConfigError: the file is missing, unreadable, not UTF-8, not YAML, or repeats a key; names file and line.
    """
    try:
        text = path.read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}.") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise ConfigError(f"{path}{line}: not valid YAML: {error.problem or error.context}.") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}.") from error
    _refuse_repeated_keys(path, root)
    return YamlFile(path, data, root)


def _child(node: yaml.Node | None, part: int | str) -> tuple[yaml.Node, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        return next(((key, value) for key, value in node.value if key.value == str(part)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part]
    return None


def _refuse_repeated_keys(path: Path, node: yaml.Node | None) -> None:
    """YAML keeps the last of two equal keys silently; here that is an error."""
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise ConfigError(
                    f"{path}:{line}: the key {key.value!r} stands here and on line {seen[key.value]}; keep one of them."
                )
            seen[str(key.value)] = line
            _refuse_repeated_keys(path, value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _refuse_repeated_keys(path, value)
