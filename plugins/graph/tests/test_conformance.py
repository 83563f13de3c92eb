"""What must hold for every component of this plugin, checked by the kit."""

from __future__ import annotations

from typing import Final

import pytest

from automl.testing import Check, plugin_checks

_GRAPHS_ONLY: Final = "trains graphs, and the kit's toy task is none; see test_forward_strategy.py"
_EXEMPT: Final = {
    "forward": dict.fromkeys(
        (
            "reports finite losses",
            "gradient reaches what it ran and nothing else",
            "same generator, same step",
            "keeps nothing from step to step",
            "lowers the loss of the subnetworks",
        ),
        _GRAPHS_ONLY,
    )
}


@pytest.mark.parametrize("check", plugin_checks("automl-graph", exempt=_EXEMPT), ids=str)
def test_conformance(check: Check) -> None:
    check()
