"""What must hold for every component of this plugin, checked by the kit."""

from __future__ import annotations

import pytest

from automl.testing import Check, plugin_checks

RANKS = "rates ranked lists, which the toy task of the kit does not have; tested in test_recommendation"
RATES_PAIRS = "rates pairs of nodes, which the toy task of the kit does not have; tested in test_link_prediction.py"
NEEDS_GRAPHS = "the toy task has no graphs; tested on one in test_contrastive.py and test_forward_strategy.py"
CANCELS = (
    "what the head of an edge adds to its logits cancels in the softmax, and only the proximity loss learns from it; "
    "tested with a nonlinearity in test_latte.py"
)
EXEMPT = {
    **{
        key: {"gradient reaches all active weights and no other": CANCELS}
        for key in ("graph.latte", "graph.latte_head")
    },
    **dict.fromkeys(
        ("forward", "graph-contrastive"),
        dict.fromkeys(
            (
                "reports finite losses",
                "gradient reaches what it ran and nothing else",
                "same generator, same step",
                "keeps nothing from step to step",
                "lowers the loss of the subnetworks",
            ),
            NEEDS_GRAPHS,
        ),
    ),
    "graph.table": {
        "takes one sample and none": "gives the vectors of all users and items, for any number of users that are asked for"
    },
    "graph.link_scores": {
        "takes one sample and none": "gives a row for each pair or edge, not for each node; tested in test_link_prediction.py"
    },
    **dict.fromkeys(
        ("ap-error", "link-hits-loss"),
        dict.fromkeys(
            (
                "measures finite values on any task",
                "leaves the model as it was",
                "a failing candidate does not touch the others",
                "repeats itself and grows with the network",
            ),
            RATES_PAIRS,
        ),
    ),
    **dict.fromkeys(
        ("f1-loss", "hits-loss", "ndcg-loss", "recall-loss"),
        dict.fromkeys(
            (
                "measures finite values on any task",
                "leaves the model as it was",
                "a failing candidate does not touch the others",
                "repeats itself and grows with the network",
            ),
            RANKS,
        ),
    ),
}


@pytest.mark.parametrize("check", plugin_checks("automl-graph", exempt=EXEMPT), ids=str)
def test_conformance(check: Check) -> None:
    check()
