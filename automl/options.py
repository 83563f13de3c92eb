"""Options of a component or section, checked by pydantic, reported as one ``ConfigError`` in the user's words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from automl.errors import ConfigError, did_you_mean

__all__ = ["parse_options"]

Options = TypeVar("Options", bound=BaseModel)


def parse_options(
    model: type[Options],
    values: Mapping[str, Any],
    where: str | Callable[[Sequence[int | str]], str],
) -> Options:
    """Returns ``values`` as an instance of ``model``.

    Args:
        model: pydantic model of the section; should forbid extra keys.
        values: what the user wrote.
        where: file or key path that held the values; every message starts with it. A function (``YamlFile.where``)
            turns the path of the key into "file:line: key" itself.

    Raises:
        ConfigError: a key is unknown (the nearest valid one is offered) or a value is out of its range; one line each.
    """
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        lines = [_sentence(model, dict(problem), where) for problem in error.errors(include_url=False)]
        raise ConfigError("\n".join(lines)) from error


def _sentence(
    model: type[BaseModel], problem: Mapping[str, Any], where: str | Callable[[Sequence[int | str]], str]
) -> str:
    location: tuple[int | str, ...] = problem["loc"]
    if callable(where):
        path = where(location)
    else:
        path = ".".join([where, *(str(part) for part in location)]) if where else ".".join(map(str, location))
    if problem["type"] == "extra_forbidden":
        owner = _owner(model, location[:-1])
        valid = owner.model_fields if owner else ()
        return f"{path}: unknown option {str(location[-1])!r}.{did_you_mean(str(location[-1]), valid)}"
    if problem["type"] == "missing":
        return f"{path}: this option is required."
    message = str(problem["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ").rstrip(".")
    shown = repr(problem["input"])
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    return f"{path}: {shown} is not valid: {message[:1].lower()}{message[1:]}."


def _owner(model: type[BaseModel], location: Sequence[int | str]) -> type[BaseModel] | None:
    """Model that holds the last part of ``location``; None where the path leaves the models."""
    owner = model
    for part in location:
        if not isinstance(part, str) or part not in owner.model_fields:
            continue  # list positions and tags of unions are no fields
        annotation = owner.model_fields[part].annotation
        inner = [a for a in (annotation, *_leaves(annotation)) if isinstance(a, type) and issubclass(a, BaseModel)]
        if not inner:
            return None
        owner = inner[0]
    return owner


def _leaves(annotation: Any) -> list[Any]:
    return [leaf for argument in get_args(annotation) for leaf in (argument, *_leaves(argument))]
