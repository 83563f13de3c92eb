"""Probes: numbers read off node features."""

from automl_graph.probes.probe import FeatureProbe
from automl_graph.probes.sheaf_spectrum import SheafSpectrum, SheafSummary
from automl_graph.probes.smoothness import Smoothness

__all__ = ["FeatureProbe", "SheafSpectrum", "SheafSummary", "Smoothness"]
