"""``--set`` of commands that train something of a finished run."""

from __future__ import annotations

from typing import Any

__all__ = ["split_assignments"]


def split_assignments(assignments: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns what ``--set`` says about a method, and what it says about its training (``training.KEY=VALUE``).

    Raises:
        ConfigError: a text is no ``key=value``, or its value is no YAML.
    """
    import yaml

    from automl.errors import ConfigError

    options: dict[str, Any] = {}
    training: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not key.strip():
            raise ConfigError(
                f"--set {assignment}: write it as key=value, such as end=8 or training.learning_rate=0.01."
            )
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ConfigError(f"--set {assignment}: the value is not valid YAML: {error}.") from error
        section, dot, name = key.strip().partition(".")
        if dot and section == "training":
            training[name] = value
        else:
            options[key.strip()] = value
    return options, training
