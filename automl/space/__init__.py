"""Search spaces: dimensions, conditions between them, architectures and encodings. No torch in here."""

from automl.space.architecture import Architecture
from automl.space.dimensions import (
    Categorical,
    Dimension,
    Guard,
    Ordinal,
    Scalar,
    as_categorical,
    as_ordinal,
    dimensions_of,
)
from automl.space.draws import draw_among
from automl.space.nested import NestedFamily
from automl.space.restriction import Kept, restrict
from automl.space.sizes import Number, Size, SizeLike, largest_value, smallest_value
from automl.space.space import Rule, SearchSpace

__all__ = [
    "Architecture",
    "Categorical",
    "Dimension",
    "Guard",
    "Kept",
    "NestedFamily",
    "Number",
    "Ordinal",
    "Rule",
    "Scalar",
    "SearchSpace",
    "Size",
    "SizeLike",
    "as_categorical",
    "as_ordinal",
    "dimensions_of",
    "draw_among",
    "largest_value",
    "restrict",
    "smallest_value",
]
