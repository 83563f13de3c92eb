"""Examples in docstrings, run as doctests."""

from __future__ import annotations

import doctest
import inspect
import sys
from typing import Any

from automl.testing.check import expect

__all__ = ["check_examples"]


def check_examples(subject: type[Any], **names: object) -> None:
    """Runs the examples in the docstring of a class.

    Args:
        subject: the class.
        **names: names that examples may use besides those of the class's module.

    Raises:
        AssertionError: there is no docstring or no example, or one prints something else.
    """
    name = subject.__name__
    expect(bool(inspect.getdoc(subject)), f"{name} has no docstring.")
    globals_ = {**vars(sys.modules[subject.__module__]), **names}
    report: list[str] = []
    tests = doctest.DocTestFinder(recurse=False).find(subject, name, globs=globals_)
    expect(any(test.examples for test in tests), f"the docstring of {name} has no example ('>>>').")
    for test in tests:
        doctest.DocTestRunner(verbose=False).run(test, out=report.append)
    expect(not report, "".join(report))
