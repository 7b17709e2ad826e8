//! The gate's network, as `plumbline_nets::gate` builds it.

use super::graph::{Conv, Graph};
use crate::export::error::ExportError;
use plumbline_nets::Variant;
use plumbline_nets::gate::{CONVOLUTIONS, KERNEL};

/// The feature map after the last ReLU, 1 x 128 x 8 x 8.
pub(super) fn features(
    graph: &mut Graph,
    x: &str,
    variant: Variant,
) -> Result<String, ExportError> {
    let mut x = graph.pool2d("AveragePool", x, 2, 2, 0);
    let mut inputs = variant.input.channels();
    for (index, (outputs, stride)) in CONVOLUTIONS.into_iter().enumerate() {
        let conv = Conv {
            inputs,
            outputs,
            kernel: KERNEL,
            stride,
            groups: 1,
            padding: variant.padding,
        };
        let name = format!("features.{index}");
        x = graph.conv_norm(&x, &format!("{name}.0"), &format!("{name}.1"), &conv)?;
        x = graph.relu(&x);
        inputs = outputs;
    }
    Ok(x)
}
