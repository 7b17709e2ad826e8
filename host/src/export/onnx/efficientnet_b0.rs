//! EfficientNet-B0 (Tan and Le, "EfficientNet", ICML 2019, table 1) as torchvision builds it.

use super::graph::{Conv, Graph};
use crate::export::error::ExportError;
use plumbline_nets::Variant;
use plumbline_nets::efficientnet_b0::{LAST, SQUEEZE, STAGES, STEM, Stage};
use plumbline_nets::ops::Padding;

/// The feature map after the last SiLU, 1 x 1280 x 8 x 8.
pub(super) fn features(
    graph: &mut Graph,
    x: &str,
    variant: Variant,
) -> Result<String, ExportError> {
    let padding = variant.padding;
    let stem = Conv {
        inputs: variant.input.channels(),
        outputs: STEM,
        kernel: 3,
        stride: 2,
        groups: 1,
        padding,
    };
    let mut x = conv_norm_silu(graph, x, "features.0", &stem)?;
    let mut channels = STEM;
    for (number, stage) in (1..).zip(&STAGES) {
        for block in 0..stage.blocks {
            let name = format!("features.{number}.{block}");
            let stride = if block == 0 { stage.stride } else { 1 };
            x = bottleneck(graph, &x, &name, channels, (stride, padding), stage)?;
            channels = stage.outputs;
        }
    }
    conv_norm_silu(graph, &x, "features.8", &Conv::pointwise(channels, LAST))
}

/// Widen, convolve channel by channel, squeeze and excite, narrow; and add `x` if shapes allow.
fn bottleneck(
    graph: &mut Graph,
    x: &str,
    name: &str,
    inputs: usize,
    (stride, padding): (usize, Padding),
    stage: &Stage,
) -> Result<String, ExportError> {
    let wide = inputs * stage.expansion;
    let mut parts = (0..).map(|part| format!("{name}.block.{part}"));
    let mut part = || parts.next().unwrap_or_default();
    let mut y = x.to_string();
    if stage.expansion > 1 {
        y = conv_norm_silu(graph, &y, &part(), &Conv::pointwise(inputs, wide))?;
    }
    let depthwise = Conv {
        inputs: wide,
        outputs: wide,
        kernel: stage.kernel,
        stride,
        groups: wide,
        padding,
    };
    let y = conv_norm_silu(graph, &y, &part(), &depthwise)?;
    let y = squeeze_excite(graph, &y, &part(), wide, inputs / SQUEEZE)?;
    let project = part();
    let narrow = Conv::pointwise(wide, stage.outputs);
    let y = graph.conv_norm(
        &y,
        &format!("{project}.0"),
        &format!("{project}.1"),
        &narrow,
    )?;
    if stride == 1 && inputs == stage.outputs {
        Ok(graph.binary("Add", x, &y, name))
    } else {
        Ok(y)
    }
}

/// Each channel times a gate made of all channels' means.
fn squeeze_excite(
    graph: &mut Graph,
    x: &str,
    name: &str,
    channels: usize,
    squeezed: usize,
) -> Result<String, ExportError> {
    let y = graph.pool(x);
    let y = graph.conv_bias(
        &y,
        &format!("{name}.fc1"),
        &Conv::pointwise(channels, squeezed),
    )?;
    let y = graph.silu(&y);
    let y = graph.conv_bias(
        &y,
        &format!("{name}.fc2"),
        &Conv::pointwise(squeezed, channels),
    )?;
    let gate = graph.sigmoid(&y);
    Ok(graph.binary("Mul", x, &gate, name))
}

fn conv_norm_silu(
    graph: &mut Graph,
    x: &str,
    name: &str,
    conv: &Conv,
) -> Result<String, ExportError> {
    let x = graph.conv_norm(x, &format!("{name}.0"), &format!("{name}.1"), conv)?;
    Ok(graph.silu(&x))
}
