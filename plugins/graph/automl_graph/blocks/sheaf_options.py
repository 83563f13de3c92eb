"""Checks of the options that say which sheaf a block learns."""

from __future__ import annotations

from collections.abc import Sequence

from automl.errors import SpaceError
from automl_graph.options import choices_of, require_choice, require_number
from automl_graph.sheaf.maps import MAP_ACTIVATIONS, MAP_TYPES
from automl_graph.sheaf.orthogonal import ORTHOGONAL_MAPS

__all__ = ["check_sheaf_options"]


def check_sheaf_options(
    map_type: str | Sequence[str],
    stalk: int | Sequence[int],
    orth_map: str | Sequence[str],
    edge_weights: bool | Sequence[bool],
    normalisation: str | Sequence[str],
    map_activation: str,
    *,
    map_types: Sequence[str] = MAP_TYPES,
) -> None:
    """Checks that every choice of the options of a sheaf exists and that they fit each other.

    Raises:
        SpaceError: names the option and what is wrong.
    """
    require_choice("map_type", map_type, map_types)
    require_number("stalk", stalk, smallest=1)
    require_choice("orth_map", orth_map, ORTHOGONAL_MAPS)
    require_choice("edge_weights", edge_weights, (True, False))
    require_choice("normalisation", normalisation, ("augmented", "degree"))
    require_choice("map_activation", map_activation, MAP_ACTIVATIONS)
    stalks, kinds = choices_of(stalk), choices_of(map_type)
    matrices = [kind for kind in kinds if kind in ("bundle", "general")]
    if matrices and min(stalks) < 2:
        raise SpaceError(
            f"stalk: {min(stalks)} is too small for map_type {matrices[0]!r}, whose matrices are numbers then; "
            "expected at least 2, or map_type 'diag'."
        )
    if "bundle" in kinds and "euler" in choices_of(orth_map) and max(stalks) > 3:
        raise SpaceError(f"stalk: {max(stalks)} is too large for orth_map 'euler', which is for 2 and 3.")
