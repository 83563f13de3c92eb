"""Names that examples in docstrings may use without importing them."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture(autouse=True)
def _names_for_examples(request: pytest.FixtureRequest) -> None:
    if isinstance(request.node, pytest.DoctestItem):
        import torch

        namespace: dict[str, Any] = request.getfixturevalue("doctest_namespace")
        namespace.update(torch=torch, nn=torch.nn)
