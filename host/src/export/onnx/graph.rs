//! A graph under construction: layers by their names in the state dict.

use std::collections::BTreeSet;

use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{AttributeProto, NodeProto, TensorProto};

use crate::export::error::ExportError;
use crate::export::fold::{BatchNorm, fold};
use crate::export::quantise::quantise;
use crate::export::weights::{StoragePrecision, Weight, Weights};
use plumbline_nets::ops::Padding;
use plumbline_nets::{Input, Variant};

/// A square convolution of maps of even sides, padded so that stride 1 keeps the size.
pub(super) struct Conv {
    pub inputs: usize,
    pub outputs: usize,
    pub kernel: usize,
    pub stride: usize,
    pub groups: usize,
    pub padding: Padding,
}

impl Conv {
    /// A convolution of one pixel.
    pub fn pointwise(inputs: usize, outputs: usize) -> Self {
        Self {
            inputs,
            outputs,
            kernel: 1,
            stride: 1,
            groups: 1,
            padding: Padding::Symmetric,
        }
    }

    fn shape(&self) -> [usize; 4] {
        [
            self.outputs,
            self.inputs / self.groups,
            self.kernel,
            self.kernel,
        ]
    }
}

/// Nodes and tensors so far. Every method adds nodes, names their output after the layer, and
/// returns that name.
pub(super) struct Graph<'a> {
    weights: &'a Weights,
    precision: StoragePrecision,
    epsilon: f32,
    nodes: Vec<NodeProto>,
    initializers: Vec<TensorProto>,
    used: BTreeSet<String>,
}

impl<'a> Graph<'a> {
    pub fn new(weights: &'a Weights, precision: StoragePrecision, variant: Variant) -> Self {
        Self {
            weights,
            precision,
            epsilon: variant.epsilon,
            nodes: Vec::new(),
            initializers: Vec::new(),
            used: BTreeSet::new(),
        }
    }

    /// Prepared films `x` as the first convolution takes them.
    pub fn adapt(&mut self, x: &str, input: Input) -> String {
        let Some((factors, summands)) = input.from_prepared() else {
            return x.to_string();
        };
        let indices = (0..factors.len() as i64).flat_map(i64::to_le_bytes);
        let channels = [factors.len()];
        let index = "input.channels";
        self.initialize(index, &channels, DataType::Int64, indices.collect());
        let operands = vec![x.to_string(), index.to_string()];
        let taken = self.node("Gather", operands, "input.taken", vec![int("axis", 1)]);
        let shape = vec![1, factors.len(), 1, 1];
        let [factors, summands] =
            [("factors", factors), ("summands", summands)].map(|(name, data)| {
                let tensor = Weight {
                    shape: shape.clone(),
                    data,
                };
                self.store_floats(&format!("input.{name}"), &tensor)
            });
        let scaled = self.binary("Mul", &taken, &factors, "input.scaled");
        self.binary("Add", &scaled, &summands, "input.adapted")
    }

    /// A convolution without bias of its own, and the batch norm after it.
    pub fn conv_norm(
        &mut self,
        x: &str,
        layer: &str,
        norm: &str,
        conv: &Conv,
    ) -> Result<String, ExportError> {
        let weight = self.take(&format!("{layer}.weight"), &conv.shape())?;
        let norm = self.batch_norm(norm, conv.outputs)?;
        let (weight, bias) = fold(weight, &norm);
        Ok(self.conv_node(x, layer, &weight, Some(&bias), conv))
    }

    /// A convolution with a bias.
    pub fn conv_bias(&mut self, x: &str, layer: &str, conv: &Conv) -> Result<String, ExportError> {
        let weight = self.take(&format!("{layer}.weight"), &conv.shape())?;
        let bias = self.take(&format!("{layer}.bias"), &[conv.outputs])?;
        Ok(self.conv_node(x, layer, weight, Some(bias), conv))
    }

    /// A convolution without a bias.
    pub fn conv(&mut self, x: &str, layer: &str, conv: &Conv) -> Result<String, ExportError> {
        let weight = self.take(&format!("{layer}.weight"), &conv.shape())?;
        Ok(self.conv_node(x, layer, weight, None, conv))
    }

    fn conv_node(
        &mut self,
        x: &str,
        layer: &str,
        weight: &Weight,
        bias: Option<&Weight>,
        conv: &Conv,
    ) -> String {
        let mut inputs = vec![x.to_string(), self.store(format!("{layer}.weight"), weight)];
        inputs.extend(bias.map(|bias| self.store(format!("{layer}.bias"), bias)));
        // TensorFlow's padding leaves out the zeros above and left first; those right and below
        // are half a kernel in both.
        let after = conv.kernel / 2;
        let before = conv
            .padding
            .before(2 * conv.kernel, conv.kernel, conv.stride);
        let attributes = vec![
            ints("kernel_shape", &[conv.kernel; 2]),
            ints("strides", &[conv.stride; 2]),
            ints("pads", &[before, before, after, after]),
            int("group", conv.groups),
        ];
        self.node("Conv", inputs, layer, attributes)
    }

    /// A batch norm and the ReLU after it.
    pub fn norm_relu(
        &mut self,
        x: &str,
        layer: &str,
        channels: usize,
    ) -> Result<String, ExportError> {
        let normed = self.norm(x, layer, channels)?;
        Ok(self.relu(&normed))
    }

    /// A batch norm on its own.
    pub fn norm(&mut self, x: &str, layer: &str, channels: usize) -> Result<String, ExportError> {
        let norm = self.batch_norm(layer, channels)?;
        let mut inputs = vec![x.to_string()];
        for (name, tensor) in [
            ("weight", norm.weight),
            ("bias", norm.bias),
            ("running_mean", norm.mean),
            ("running_var", norm.variance),
        ] {
            inputs.push(self.store(format!("{layer}.{name}"), tensor));
        }
        let epsilon = AttributeProto {
            name: "epsilon".to_string(),
            r#type: AttributeType::Float as i32,
            f: self.epsilon,
            ..Default::default()
        };
        Ok(self.node("BatchNormalization", inputs, layer, vec![epsilon]))
    }

    pub fn relu(&mut self, x: &str) -> String {
        self.unary("Relu", x, "relu")
    }

    /// x times its sigmoid, which tract fuses.
    pub fn silu(&mut self, x: &str) -> String {
        let gate = self.sigmoid(x);
        self.binary("Mul", x, &gate, &format!("{x}.silu"))
    }

    pub fn sigmoid(&mut self, x: &str) -> String {
        self.unary("Sigmoid", x, "sigmoid")
    }

    /// The mean of every channel, 1 x C x 1 x 1.
    pub fn pool(&mut self, x: &str) -> String {
        self.unary("GlobalAveragePool", x, "pool")
    }

    /// Sum, product or concatenation of `a` and `b`.
    pub fn binary(&mut self, op: &str, a: &str, b: &str, name: &str) -> String {
        let attributes = match op {
            "Concat" => vec![int("axis", 1)],
            _ => vec![],
        };
        self.node(op, vec![a.to_string(), b.to_string()], name, attributes)
    }

    /// `MaxPool` or `AveragePool` over squares.
    pub fn pool2d(
        &mut self,
        op: &str,
        x: &str,
        kernel: usize,
        stride: usize,
        pad: usize,
    ) -> String {
        let attributes = vec![
            ints("kernel_shape", &[kernel; 2]),
            ints("strides", &[stride; 2]),
            ints("pads", &[pad; 4]),
        ];
        self.node(op, vec![x.to_string()], &format!("{x}.pool"), attributes)
    }

    /// Another name for `x`.
    pub fn identity(&mut self, x: &str, name: &str) {
        self.node("Identity", vec![x.to_string()], name, vec![]);
    }

    /// Global average pooling and fully connected `layers` (name, inputs, outputs) with ReLU
    /// between them; the last one's output is called `name`.
    pub fn head(
        &mut self,
        x: &str,
        layers: &[(&str, usize, usize)],
        name: &str,
    ) -> Result<(), ExportError> {
        let pooled = self.pool(x);
        let mut x = self.unary("Flatten", &pooled, "flat");
        for (i, &(layer, inputs, outputs)) in layers.iter().enumerate() {
            let weight = self.take(&format!("{layer}.weight"), &[outputs, inputs])?;
            let bias = self.take(&format!("{layer}.bias"), &[outputs])?;
            let weight = self.store(format!("{layer}.weight"), weight);
            let bias = self.store(format!("{layer}.bias"), bias);
            let last = i + 1 == layers.len();
            let output = if last { name } else { layer };
            x = self.node(
                "Gemm",
                vec![x, weight, bias],
                output,
                vec![int("transB", 1)],
            );
            if !last {
                x = self.relu(&x);
            }
        }
        Ok(())
    }

    /// The nodes and the tensors.
    ///
    /// # Errors
    ///
    /// [`ExportError::Unknown`] if there are weights that no layer took.
    pub fn finish(self) -> Result<(Vec<NodeProto>, Vec<TensorProto>), ExportError> {
        let mut names = self.weights.keys();
        match names
            .find(|name| !self.used.contains(*name) && !name.ends_with("num_batches_tracked"))
        {
            Some(name) => Err(ExportError::Unknown(name.clone())),
            None => Ok((self.nodes, self.initializers)),
        }
    }

    fn batch_norm(&mut self, layer: &str, channels: usize) -> Result<BatchNorm<'a>, ExportError> {
        let mut take = |name| self.take(&format!("{layer}.{name}"), &[channels]);
        Ok(BatchNorm {
            weight: take("weight")?,
            bias: take("bias")?,
            mean: take("running_mean")?,
            variance: take("running_var")?,
            epsilon: self.epsilon,
        })
    }

    /// A tensor of the state dict, which must have this shape.
    fn take(&mut self, name: &str, shape: &[usize]) -> Result<&'a Weight, ExportError> {
        let tensor = self
            .weights
            .get(name)
            .ok_or_else(|| ExportError::Missing(name.to_string()))?;
        if tensor.shape != shape || tensor.data.len() != shape.iter().product::<usize>() {
            return Err(ExportError::Shape {
                name: name.to_string(),
                found: tensor.shape.clone(),
                expected: shape.to_vec(),
            });
        }
        if !tensor.data.iter().all(|value| value.is_finite()) {
            return Err(ExportError::NotFinite(name.to_string()));
        }
        self.used.insert(name.to_string());
        Ok(tensor)
    }

    /// Adds a tensor to the file: in int8 if it has two dimensions or more and that is wanted.
    fn store(&mut self, name: String, tensor: &Weight) -> String {
        if self.precision == StoragePrecision::F32 || tensor.shape.len() < 2 {
            return self.store_floats(&name, tensor);
        }
        let quantised = quantise(tensor);
        let (q, scale) = (format!("{name}.int8"), format!("{name}.scale"));
        let raw = quantised.values.iter().map(|v| *v as u8).collect();
        self.initialize(&q, &tensor.shape, DataType::Int8, raw);
        let raw = quantised
            .scales
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .collect();
        self.initialize(&scale, &tensor.shape[..1], DataType::Float, raw);
        self.node(
            "DequantizeLinear",
            vec![q, scale],
            &name,
            vec![int("axis", 0)],
        )
    }

    fn store_floats(&mut self, name: &str, tensor: &Weight) -> String {
        let raw = tensor.data.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.initialize(name, &tensor.shape, DataType::Float, raw);
        name.to_string()
    }

    fn initialize(&mut self, name: &str, shape: &[usize], data_type: DataType, raw_data: Vec<u8>) {
        self.initializers.push(TensorProto {
            name: name.to_string(),
            dims: shape.iter().map(|size| *size as i64).collect(),
            data_type: data_type as i32,
            raw_data,
            ..Default::default()
        });
    }

    fn unary(&mut self, op: &str, x: &str, suffix: &str) -> String {
        self.node(op, vec![x.to_string()], &format!("{x}.{suffix}"), vec![])
    }

    fn node(
        &mut self,
        op: &str,
        input: Vec<String>,
        name: &str,
        attribute: Vec<AttributeProto>,
    ) -> String {
        self.nodes.push(NodeProto {
            op_type: op.to_string(),
            name: name.to_string(),
            input,
            output: vec![name.to_string()],
            attribute,
            ..Default::default()
        });
        name.to_string()
    }
}

fn int(name: &str, value: usize) -> AttributeProto {
    AttributeProto {
        name: name.to_string(),
        r#type: AttributeType::Int as i32,
        i: value as i64,
        ..Default::default()
    }
}

fn ints(name: &str, values: &[usize]) -> AttributeProto {
    AttributeProto {
        name: name.to_string(),
        r#type: AttributeType::Ints as i32,
        ints: values.iter().map(|value| *value as i64).collect(),
        ..Default::default()
    }
}
