"""Elastic layers and containers: plain torch layers whose sizes may be searched, and ``specialise`` to make them plain."""

from automl.elastic.attention import MultiheadAttention
from automl.elastic.batch_norm import BatchNorm, BatchNorm1d, BatchNorm2d, BatchNorm3d
from automl.elastic.choice import Choice
from automl.elastic.concat import Concat
from automl.elastic.convolution import Conv1d, Conv2d, Conv3d
from automl.elastic.dropout import Dropout
from automl.elastic.embedding import Embedding
from automl.elastic.group_norm import GroupNorm
from automl.elastic.gru_cell import GRUCell
from automl.elastic.layer import ElasticLayer
from automl.elastic.layer_norm import LayerNorm, RMSNorm
from automl.elastic.linear import Linear
from automl.elastic.repeat import Repeat
from automl.elastic.skip import Skip
from automl.elastic.specialise import specialise
from automl.elastic.transposed import ConvTranspose2d

__all__ = [
    "BatchNorm",
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "Choice",
    "Concat",
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose2d",
    "Dropout",
    "ElasticLayer",
    "Embedding",
    "GRUCell",
    "GroupNorm",
    "LayerNorm",
    "Linear",
    "MultiheadAttention",
    "RMSNorm",
    "Repeat",
    "Skip",
    "specialise",
]
