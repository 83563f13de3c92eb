"""Probes: numbers read off node features and learned operators."""

from automl_graph.probes.algebra import AlgebraDefect
from automl_graph.probes.probe import FeatureProbe
from automl_graph.probes.sheaf_spectrum import SheafSpectrum, SheafSummary
from automl_graph.probes.smoothness import Smoothness

__all__ = ["AlgebraDefect", "FeatureProbe", "SheafSpectrum", "SheafSummary", "Smoothness"]
