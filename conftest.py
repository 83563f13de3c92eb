"""Settings of the whole suite: a cache folder of its own, and names that examples in docstrings may use."""

from __future__ import annotations

import os
import tempfile
from typing import Any

import pytest

# Tables of timed blocks that tests make must neither be found by nor find those of the user.
os.environ["AUTOML_CACHE"] = tempfile.mkdtemp(prefix="automl-test-cache-")


@pytest.fixture(autouse=True)
def _names_for_examples(request: pytest.FixtureRequest) -> None:
    if isinstance(request.node, pytest.DoctestItem):
        import torch

        namespace: dict[str, Any] = request.getfixturevalue("doctest_namespace")
        namespace.update(torch=torch, nn=torch.nn)
