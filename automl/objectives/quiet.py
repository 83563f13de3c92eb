"""Silence for libraries that talk while they convert a model."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["quiet"]


@contextmanager
def quiet(*loggers: str) -> Iterator[None]:
    """Drops warnings, and messages below errors of the named loggers, while the context lasts."""
    named = [logging.getLogger(name) for name in loggers]
    before = [logger.level for logger in named]
    for logger in named:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(named, before, strict=True):
            logger.setLevel(level)
