"""Entry module of the plugin: names, signals and summaries only, so that listing it loads no torch."""

from __future__ import annotations

from automl.host import Family, hookimpl

__all__ = ["FAMILIES", "automl_families"]

FAMILIES = (
    Family(
        name="vision.attention",
        summary="pre-norm transformer block on feature maps with a relative position bias",
        target="automl_vision.attention:AttentionBlock",
        accepts="image",
        produces="image",
    ),
    Family(
        name="vision.conv_stem",
        summary="one convolution, batch norm and activation",
        target="automl_vision.conv_stem:ConvStem",
        accepts="image",
        produces="image",
    ),
    Family(
        name="vision.convnext",
        summary="ConvNeXt block: depthwise convolution, layer norm, pointwise MLP, layer scale",
        target="automl_vision.convnext:ConvNeXtBlock",
        accepts="image",
        produces="image",
    ),
    Family(
        name="vision.hytra",
        summary="fabric of convolutions and attention with searched places of down-sampling",
        target="automl_vision.hytra:HyTra",
        accepts="image",
        produces="image",
        by_name_only=True,
    ),
    Family(
        name="vision.mbconv",
        summary="inverted bottleneck with elastic kernel, expansion and squeeze-and-excitation",
        target="automl_vision.mbconv:MBConv",
        accepts="image",
        produces="image",
    ),
    Family(
        name="vision.mobile_head",
        summary="MobileNetV3 classifier: pointwise expansion, pooling, hidden layer",
        target="automl_vision.mobile_head:MobileHead",
        accepts="image",
        produces="logits",
    ),
    Family(
        name="vision.pool_head",
        summary="global average pooling and a linear classifier",
        target="automl_vision.pool_head:PoolHead",
        accepts="image",
        produces="logits",
    ),
    Family(
        name="vision.pooled_resnet",
        summary="ResNet of fixed layers with searched places of down-sampling",
        target="automl_vision.pooled_resnet:PooledResNet",
        accepts="image",
        produces="image",
        by_name_only=True,
    ),
    Family(
        name="vision.residual",
        summary="ResNet block, basic or bottleneck",
        target="automl_vision.residual:Residual",
        accepts="image",
        produces="image",
    ),
)


@hookimpl
def automl_families() -> list[Family]:
    """Returns the blocks and heads of this plugin."""
    return list(FAMILIES)
