"""What must hold for every component of this plugin, checked by the kit."""

from __future__ import annotations

import pytest

from automl.testing import Check, plugin_checks

NEEDS_GRAPHS = "the toy task has no graphs; tested on one in test_contrastive.py"
EXEMPT = {
    "graph-contrastive": {
        "reports finite losses": NEEDS_GRAPHS,
        "gradient reaches what it ran and nothing else": NEEDS_GRAPHS,
        "same generator, same step": NEEDS_GRAPHS,
        "keeps nothing from step to step": NEEDS_GRAPHS,
        "lowers the loss of the subnetworks": NEEDS_GRAPHS,
    }
}


@pytest.mark.parametrize("check", plugin_checks("automl-graph", exempt=EXEMPT), ids=str)
def test_conformance(check: Check) -> None:
    check()
