"""Makes weights to begin a training with out of a bundle whose run is no longer there.

    python3 host/weights_of_bundle.py BUNDLE COHORT WEIGHTS.safetensors [FILMS]

A bundle's network has its batch norms folded into the convolutions before them, in 8 bits. They are unfolded
by the mean and the deviation of what these convolutions give on FILMS (150, unless said otherwise) train films
of COHORT: the network answers as before, and `plumbline train --init` can go on with it. Needs numpy, onnx,
onnxruntime, pillow and safetensors.
"""

import csv
import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper
from PIL import Image
from safetensors.numpy import save_file

EPSILON = 1e-5
SIDE = 256
MEAN = np.array([0.485, 0.456, 0.406], np.float32)[:, None, None]
DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)[:, None, None]


def weights(graph):
    """The graph's weights in floating point, by name."""
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    out = {}
    for name, values in stored.items():
        if name.endswith(".int8"):
            scale = stored[name.replace(".int8", ".scale")]
            shape = (-1,) + (1,) * (values.ndim - 1)
            out[name.removesuffix(".int8")] = values.astype(np.float32) * scale.reshape(shape)
        elif not name.endswith(".scale"):
            out[name] = values.astype(np.float32)
    return out


def folded_norm(architecture, convolution):
    """The batch norm that was folded into a convolution; none if there was none."""
    if architecture == "efficientnet-b0":
        return convolution[:-1] + "1" if convolution.endswith(".0") else None
    if convolution == "features.conv0":
        return "features.norm0"
    return convolution[: -len("conv1")] + "norm2" if convolution.endswith(".conv1") else None


def films(cohort, count):
    """Train films as the network sees them, chosen at random."""
    with open(cohort / "cohort.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "train"]
    for index in np.random.default_rng(1).choice(len(rows), min(count, len(rows)), replace=False):
        grey = np.asarray(Image.open(cohort / rows[index]["film"]).convert("F"))
        low, high = np.percentile(grey, [0.5, 99.5])
        grey = np.clip((grey - low) / max(high - low, 1), 0, 1) * 255
        picture = Image.fromarray(grey.astype(np.uint8))
        picture.thumbnail((SIDE, SIDE))
        square = Image.new("L", (SIDE, SIDE))
        square.paste(picture, ((SIDE - picture.width) // 2, (SIDE - picture.height) // 2))
        yield ((np.asarray(square, np.float32) / 255 - MEAN) / DEVIATION)[None]


def main():
    bundle, cohort, out = map(Path, sys.argv[1:4])
    count = int(sys.argv[4]) if len(sys.argv) > 4 else 150
    architecture = json.loads((bundle / "manifest.json").read_text())["architecture"]
    model = onnx.load(bundle / "model.onnx")
    tensors = weights(model.graph)
    norms = {}
    for node in model.graph.node:
        norm = folded_norm(architecture, node.output[0]) if node.op_type == "Conv" else None
        if norm:
            norms[node.output[0]] = (norm, node.input[2])
            model.graph.output.append(onnx.helper.make_empty_tensor_value_info(node.output[0]))
    session = onnxruntime.InferenceSession(model.SerializeToString())
    sums = {name: [0.0, 0.0] for name in norms}
    used = 0
    for film in films(cohort, count):
        used += 1
        for name, values in zip(norms, session.run(list(norms), {session.get_inputs()[0].name: film})):
            values = values.astype(np.float64)
            sums[name][0] += values.mean((0, 2, 3))
            sums[name][1] += (values**2).mean((0, 2, 3))
    for name, (norm, bias) in norms.items():
        mean = sums[name][0] / used
        variance = np.maximum(sums[name][1] / used - mean**2, 0)
        tensors[f"{norm}.weight"] = np.sqrt(variance + EPSILON).astype(np.float32)
        tensors[f"{norm}.bias"] = mean.astype(np.float32)
        tensors[f"{norm}.running_mean"] = (mean - tensors.pop(bias)).astype(np.float32)
        tensors[f"{norm}.running_var"] = variance.astype(np.float32)
    described = {
        "architecture": architecture,
        "batch_norm_epsilon": "0.00001",
        "classes": '["scoliosis"]',
        "head": "study" if "classifier.4.weight" in tensors else "linear",
        "input": "imagenet",
        "last_relu": "yes",
        "padding": "symmetric",
        "source": "plumbline",
    }
    save_file({name: np.ascontiguousarray(values) for name, values in tensors.items()}, out, described)


if __name__ == "__main__":
    main()
