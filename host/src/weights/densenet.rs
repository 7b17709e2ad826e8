//! DenseNet121's tensors by their names elsewhere.

use super::place::{Layout, Place};

/// Returns torchvision's name from before 2018: in a layer `norm.1` where there is now `norm1`.
pub fn old(ours: &str) -> String {
    let Some((before, rest)) = ours.split_once(".denselayer") else {
        return ours.to_owned();
    };
    let mut rest = rest.to_owned();
    for part in ["norm", "conv"] {
        for number in ["1", "2"] {
            rest = rest.replace(&format!(".{part}{number}."), &format!(".{part}.{number}."));
        }
    }
    format!("{before}.denselayer{rest}")
}

/// Returns the place of `ours` in a file of Keras', as `layer/weight`.
pub fn keras(classifier: &str, ours: &str) -> Place {
    let (module, tensor) = ours.rsplit_once('.').unwrap_or(("", ours));
    let layer = layer(classifier, module);
    let norm = layer.ends_with("bn");
    let weight = match tensor {
        "weight" if norm => "gamma",
        "bias" if norm => "beta",
        "weight" => "kernel",
        "running_mean" => "moving_mean",
        "running_var" => "moving_variance",
        other => other,
    };
    Place {
        name: format!("{layer}/{weight}"),
        layout: Layout::OutputsLast,
    }
}

fn layer(classifier: &str, module: &str) -> String {
    let path: Vec<&str> = module.split('.').collect();
    // Keras counts the stem as the first of its convolutions and pools.
    let after = |name: &str, number: &str| {
        let number = number
            .strip_prefix(name)
            .and_then(|n| n.parse::<usize>().ok());
        number.map_or(0, |number| number + 1)
    };
    match path[..] {
        ["features", "conv0"] => "conv1_conv".to_owned(),
        ["features", "norm0"] => "conv1_bn".to_owned(),
        ["features", "norm5"] => "bn".to_owned(),
        ["features", transition, part] => {
            let part = if part == "norm" { "bn" } else { "conv" };
            format!("pool{}_{part}", after("transition", transition))
        }
        ["features", block, layer, part] => {
            let part = match part {
                "norm1" => "0_bn",
                "conv1" => "1_conv",
                "norm2" => "1_bn",
                _ => "2_conv",
            };
            let layer = layer.trim_start_matches("denselayer");
            format!("conv{}_block{layer}_{part}", after("denseblock", block))
        }
        _ => classifier.to_owned(),
    }
}

/// Returns the `layer/weight` of a dataset's path in a file of Keras': a layer's group, and in it the weight's
/// own path, which begins with the layer again; the stem's layers have a slash in their names. A
/// whole model's weights lie in a group of their own, and layers of a model inside a model in that
/// one's.
pub fn from_keras(path: &str) -> String {
    if path.starts_with("optimizer_weights/") {
        return path.to_owned();
    }
    let path = path.split_once(':').map_or(path, |(path, _)| path);
    let mut parts = path.rsplit('/');
    let (Some(weight), Some(layer)) = (parts.next(), parts.next()) else {
        return path.to_owned();
    };
    match parts.next() {
        Some("conv1") if matches!(layer, "conv" | "bn") => format!("conv1_{layer}/{weight}"),
        _ => format!("{layer}/{weight}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keras_paths_of_all_ages_are_one() {
        for path in [
            "conv1/conv/conv1/conv/kernel:0",
            "model_weights/conv1/conv/conv1/conv/kernel:0",
            "densenet121/conv1/conv/kernel:0",
            "conv1_conv/conv1_conv/kernel:0",
            "conv1_conv/conv1_conv/kernel",
            "conv1_conv/kernel",
        ] {
            assert_eq!(from_keras(path), "conv1_conv/kernel", "{path}");
        }
        assert_eq!(from_keras("bn/bn/gamma:0"), "bn/gamma");
        assert_eq!(
            from_keras("conv5_block16_0_bn/conv5_block16_0_bn/gamma:0"),
            "conv5_block16_0_bn/gamma"
        );
        let optimiser = "optimizer_weights/training/Adam/bn/gamma/m:0";
        assert_eq!(from_keras(optimiser), optimiser);
        assert_eq!(from_keras("alone"), "alone");
    }

    #[test]
    fn old_names_have_a_dot_in_layers_alone() {
        for (ours, theirs) in [
            (
                "features.denseblock4.denselayer16.norm1.running_var",
                "features.denseblock4.denselayer16.norm.1.running_var",
            ),
            (
                "features.denseblock1.denselayer1.conv2.weight",
                "features.denseblock1.denselayer1.conv.2.weight",
            ),
            (
                "features.transition1.norm.bias",
                "features.transition1.norm.bias",
            ),
            ("features.norm5.bias", "features.norm5.bias"),
        ] {
            assert_eq!(old(ours), theirs);
        }
    }
}
