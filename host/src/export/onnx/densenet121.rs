//! DenseNet121 (Huang et al., "Densely Connected Convolutional Networks", CVPR 2017) as
//! torchvision builds it.

use super::graph::{Conv, Graph};
use crate::export::error::ExportError;
use plumbline_nets::Variant;
use plumbline_nets::densenet121::{BLOCKS, BOTTLENECK, GROWTH, STEM};
use plumbline_nets::ops::Padding;

/// The feature map after the last batch norm and, where the variant has it, its ReLU,
/// 1 x 1024 x 8 x 8.
pub(super) fn features(
    graph: &mut Graph,
    x: &str,
    variant: Variant,
) -> Result<String, ExportError> {
    let stem = Conv {
        inputs: variant.input.channels(),
        outputs: STEM,
        kernel: 7,
        stride: 2,
        groups: 1,
        padding: Padding::Symmetric,
    };
    let x = graph.conv_norm(x, "features.conv0", "features.norm0", &stem)?;
    let x = graph.relu(&x);
    let mut x = graph.pool2d("MaxPool", &x, 3, 2, 1);
    let mut channels = STEM;
    for (block, layers) in (1..).zip(BLOCKS) {
        for layer in 1..=layers {
            let name = format!("features.denseblock{block}.denselayer{layer}");
            x = dense_layer(graph, &x, &name, channels)?;
            channels += GROWTH;
        }
        if block < BLOCKS.len() {
            let name = format!("features.transition{block}");
            let y = graph.norm_relu(&x, &format!("{name}.norm"), channels)?;
            // torchvision averages after the convolution. Both are linear and the convolution
            // sees one pixel at a time, so the order is free, and this one is four times cheaper.
            let y = graph.pool2d("AveragePool", &y, 2, 2, 0);
            let half = Conv::pointwise(channels, channels / 2);
            x = graph.conv(&y, &format!("{name}.conv"), &half)?;
            channels /= 2;
        }
    }
    let x = graph.norm(&x, "features.norm5", channels)?;
    Ok(if variant.last_relu { graph.relu(&x) } else { x })
}

/// `x` and the channels this layer makes of it.
fn dense_layer(
    graph: &mut Graph,
    x: &str,
    name: &str,
    channels: usize,
) -> Result<String, ExportError> {
    let narrow = Conv::pointwise(channels, BOTTLENECK);
    let grow = Conv {
        inputs: BOTTLENECK,
        outputs: GROWTH,
        kernel: 3,
        stride: 1,
        groups: 1,
        padding: Padding::Symmetric,
    };
    let y = graph.norm_relu(x, &format!("{name}.norm1"), channels)?;
    let y = graph.conv_norm(
        &y,
        &format!("{name}.conv1"),
        &format!("{name}.norm2"),
        &narrow,
    )?;
    let y = graph.relu(&y);
    let y = graph.conv(&y, &format!("{name}.conv2"), &grow)?;
    Ok(graph.binary("Concat", x, &y, name))
}
