//! EfficientNet-B0's tensors by their names elsewhere.

/// Blocks of the seven stages.
const BLOCKS: [usize; 7] = [1, 2, 2, 3, 3, 4, 1];

/// A tensor's place in the network.
enum Place<'a> {
    /// The first convolution or its batch norm (`norm`), and the tensor.
    Stem { norm: bool, tensor: &'a str },
    /// The last convolution or its batch norm.
    Last { norm: bool, tensor: &'a str },
    /// A part of a block.
    Block {
        /// The stage, from 0.
        stage: usize,
        /// The block in its stage, from 0.
        block: usize,
        part: Part,
        tensor: &'a str,
    },
}

#[derive(Clone, Copy)]
enum Part {
    Expand { norm: bool },
    Depthwise { norm: bool },
    Squeeze,
    Excite,
    Project { norm: bool },
}

/// Reads `features.0.1.bias`, `features.3.1.block.2.fc1.weight` and the like.
fn parse(ours: &str) -> Option<Place<'_>> {
    let (module, tensor) = ours.rsplit_once('.')?;
    let path: Vec<&str> = module.split('.').collect();
    match path[..] {
        ["features", "0", part] => Some(Place::Stem {
            norm: part == "1",
            tensor,
        }),
        ["features", "8", part] => Some(Place::Last {
            norm: part == "1",
            tensor,
        }),
        ["features", stage, block, "block", index, inner] => {
            let stage = stage.parse::<usize>().ok()?.checked_sub(1)?;
            let index: usize = index.parse().ok()?;
            // The first stage does not widen, so that its parts are numbered from the second.
            let part = match (index + usize::from(stage == 0), inner) {
                (0, inner) => Part::Expand { norm: inner == "1" },
                (1, inner) => Part::Depthwise { norm: inner == "1" },
                (2, "fc1") => Part::Squeeze,
                (2, _) => Part::Excite,
                (_, inner) => Part::Project { norm: inner == "1" },
            };
            Some(Place::Block {
                stage,
                block: block.parse().ok()?,
                part,
                tensor,
            })
        }
        _ => None,
    }
}

/// Returns efficientnet-pytorch's name.
pub fn lukemelas(ours: &str) -> String {
    match parse(ours) {
        None => ours.to_owned(),
        Some(Place::Stem { norm, tensor }) => {
            format!("{}.{tensor}", if norm { "_bn0" } else { "_conv_stem" })
        }
        Some(Place::Last { norm, tensor }) => {
            format!("{}.{tensor}", if norm { "_bn1" } else { "_conv_head" })
        }
        Some(Place::Block {
            stage,
            block,
            part,
            tensor,
        }) => {
            let block = BLOCKS.iter().take(stage).sum::<usize>() + block;
            let part = match part {
                Part::Expand { norm: false } => "_expand_conv",
                Part::Expand { norm: true } => "_bn0",
                Part::Depthwise { norm: false } => "_depthwise_conv",
                Part::Depthwise { norm: true } => "_bn1",
                Part::Squeeze => "_se_reduce",
                Part::Excite => "_se_expand",
                Part::Project { norm: false } => "_project_conv",
                Part::Project { norm: true } => "_bn2",
            };
            format!("_blocks.{block}.{part}.{tensor}")
        }
    }
}

/// Returns timm's name.
pub fn timm(ours: &str) -> String {
    match parse(ours) {
        None => ours.to_owned(),
        Some(Place::Stem { norm, tensor }) => {
            format!("{}.{tensor}", if norm { "bn1" } else { "conv_stem" })
        }
        Some(Place::Last { norm, tensor }) => {
            format!("{}.{tensor}", if norm { "bn2" } else { "conv_head" })
        }
        Some(Place::Block {
            stage,
            block,
            part,
            tensor,
        }) => {
            // Where nothing widens, the parts' names count from the depthwise convolution.
            let narrow = stage == 0;
            let part = match part {
                Part::Expand { norm: false } => "conv_pw",
                Part::Expand { norm: true } => "bn1",
                Part::Depthwise { norm: false } => "conv_dw",
                Part::Depthwise { norm: true } if narrow => "bn1",
                Part::Depthwise { norm: true } => "bn2",
                Part::Squeeze => "se.conv_reduce",
                Part::Excite => "se.conv_expand",
                Part::Project { norm: false } if narrow => "conv_pw",
                Part::Project { norm: false } => "conv_pwl",
                Part::Project { norm: true } if narrow => "bn2",
                Part::Project { norm: true } => "bn3",
            };
            format!("blocks.{stage}.{block}.{part}.{tensor}")
        }
    }
}
