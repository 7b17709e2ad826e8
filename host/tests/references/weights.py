"""Make weights.json: what the libraries answer whose weights are imported, from weights made by a formula.

    KERAS_BACKEND=torch python weights.py > weights.json

Needs torch, torchvision, timm, efficientnet-pytorch, torchxrayvision, keras and h5py. Every tensor
follows from its name in the source's file (the formula of formula.py in nets/tests/references; for Keras' names see
`keras_tensor`), so that tests/weights.rs can write the same files. Beside it, `small/` gets a few
tensors written by the libraries themselves, for the readers of the file formats.
"""

import json
import os
import re
import sys
from collections import OrderedDict
from pathlib import Path
from unittest import mock

import numpy as np

os.environ.setdefault("KERAS_BACKEND", "torch")
import efficientnet_pytorch
import h5py
import keras
import timm
import torch
import torchvision
import torchxrayvision

from formula import picture, tensor, uniform

SMALL = Path(__file__).parent / "small"
MEAN = torch.tensor([0.485, 0.456, 0.406], dtype=torch.float64)[:, None, None]
DEVIATION = torch.tensor([0.229, 0.224, 0.225], dtype=torch.float64)[:, None, None]


def film(side: int) -> torch.Tensor:
    """The upper left corner of a picture of formula.py, 1 x 3 x side x side, ImageNet-normalised."""
    return picture("input.0")[:, :, :side, :side]


def fill(net: torch.nn.Module, rename=lambda name: name) -> list:
    """Gives every tensor the value of its name in the file, `rename(name)`; returns names and shapes."""
    named = [(k, list(v.shape)) for k, v in net.state_dict().items() if not k.endswith("num_batches_tracked")]
    net.load_state_dict({k: tensor(rename(k), s) for k, s in named}, strict=False)
    return [[rename(k), s] for k, s in named]


def old_name(name: str) -> str:
    """torchvision's DenseNet names before 2018: `norm.1` where there is now `norm1`."""
    return re.sub(r"(denselayer\d+\.(?:norm|conv))(\d)", r"\1.\2", name)


def answer(outputs: torch.Tensor) -> dict:
    outputs = outputs.detach().double().flatten()
    print(outputs[:4].tolist(), outputs.std().item(), file=sys.stderr)
    return {"count": len(outputs), "first": outputs[:20].tolist(), "sum": outputs.sum().item()}


def torch_source(net: torch.nn.Module, side: int, rename=lambda name: name, adapt=lambda x: x) -> dict:
    net = net.double().eval()
    fill(net, rename)
    with torch.no_grad():
        return {"side": side} | answer(net(adapt(film(side))))


def chexnet() -> torch.nn.Module:
    """arnoweng/CheXNet's network: torchvision's with `classifier` = Sequential(Linear, Sigmoid)."""
    net = torchvision.models.densenet121()
    net.classifier = torch.nn.Sequential(torch.nn.Linear(1024, 14), torch.nn.Sigmoid())
    return net


def keras_tensor(name: str, shape: tuple) -> np.ndarray:
    """As `tensor`, by Keras' names and for kernels whose last dimension is the outputs."""
    u = uniform(name, int(np.prod(shape)))
    if name.endswith(("gamma", "moving_variance")):
        values = 0.5 + u
    elif name.endswith("kernel"):
        values = (2.0 * u - 1.0) * np.sqrt(6.0 / np.prod(shape[:-1]))
    else:
        values = (2.0 * u - 1.0) * 0.1
    return values.astype(np.float32).reshape(shape)


def keras_densenet(final_relu: bool, classes: int, activation: str | None) -> dict:
    """Keras' DenseNet121. Without the final ReLU as keras.applications had it until 2018, when
    brucechou1983's CheXNet was trained: its graph is cut at `bn`."""
    base = keras.applications.DenseNet121(include_top=False, weights=None, input_shape=(96, 96, 3))
    last = base.output if final_relu else base.get_layer("bn").output
    pooled = keras.layers.GlobalAveragePooling2D(name="avg_pool")(last)
    outputs = keras.layers.Dense(classes, activation=activation, name="predictions")(pooled)
    net = keras.Model(base.input, outputs)
    tensors = []
    for layer in net.layers:
        for weight in layer.weights:
            path = f"{layer.name}/{weight.name}"
            weight.assign(keras_tensor(path, tuple(weight.shape)))
            tensors.append([path, list(weight.shape)])
    x = film(96)[0].permute(1, 2, 0)[None].float().numpy()
    return {"side": 96, "tensors": tensors} | answer(torch.tensor(np.array(net(x).detach())))


def small_files() -> None:
    """A few tensors of every type and layout, as the libraries themselves write them."""
    SMALL.mkdir(exist_ok=True)
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6) / 8
    tensors = OrderedDict(
        whole=base,
        transposed=base.t(),
        part=base[1:3, 2:4],
        half=base.half(),
        brain=base.bfloat16(),
        double=base.double(),
        scalar=torch.tensor(2.5),
        parameter=torch.nn.Parameter(base[:1].clone()),
        num_batches_tracked=torch.tensor(3),
    )
    checkpoint = {
        "epoch": 7,
        "best": np.float64(0.5),
        "note": "ünïcode",
        "state_dict": OrderedDict((f"module.{k}", v) for k, v in tensors.items()),
        "optimizer": {"state": {0: {"step": 3}}, "param_groups": [{"lr": 1e-3, "params": [0]}]},
        "big": 1 << 80,
    }
    torch.save(checkpoint, SMALL / "zip.pt")
    torch.save(checkpoint, SMALL / "legacy.pth.tar", _use_new_zipfile_serialization=False)
    module = torch.nn.Sequential(OrderedDict(conv=torch.nn.Conv2d(1, 2, 3), norm=torch.nn.BatchNorm2d(2)))
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if not name.endswith("tracked"):
                value.copy_(tensor(name, list(value.shape)))
    # PyTorch adds the source code of a module's classes for people to read; it is left out here.
    with mock.patch.object(torch.serialization, "get_source_lines_and_file", side_effect=OSError):
        torch.save(module, SMALL / "module.pt", _use_new_zipfile_serialization=False)
    with h5py.File(SMALL / "keras.h5", "w") as file:
        # As Keras 2 wrote: a group a layer, and in it the weights' names as paths.
        for layer, names in {"conv1/conv": ["kernel:0"], "bn": ["gamma:0", "beta:0"]}.items():
            for name in names:
                shape = (3, 3, 1, 2) if "kernel" in name else (2,)
                file.create_dataset(f"{layer}/{layer}/{name}", data=keras_tensor(f"{layer}/{name[:-2]}", shape))
        file.attrs["layer_names"] = [b"conv1/conv", b"relu", b"bn"]
        file.create_group("relu")


def main() -> None:
    dense, efficient = torchvision.models.densenet121, torchvision.models.efficientnet_b0
    result = {
        "torchvision-densenet121": torch_source(dense(), 96),
        "torchvision-densenet121-old": torch_source(dense(), 96, old_name),
        "torchvision-efficientnet-b0": torch_source(efficient(), 96),
    }
    net = chexnet()
    logits = torch.nn.Sequential(OrderedDict(densenet121=net))
    net.classifier[1] = torch.nn.Identity()
    result["chexnet"] = torch_source(logits, 96, lambda name: "module." + old_name(name))
    xrv = torchxrayvision.models.DenseNet()
    result["torchxrayvision"] = torch_source(
        xrv, 224, adapt=lambda x: (2 * (x * DEVIATION + MEAN)[:, :1] - 1) * 1024
    ) | {"classes": xrv.targets}
    result["keras-chexnet"] = keras_densenet(False, 14, None)
    result["keras-densenet121"] = keras_densenet(True, 20, None)
    del result["keras-densenet121"]["tensors"]
    lukemelas = efficientnet_pytorch.EfficientNet.from_name("efficientnet-b0")
    result["lukemelas"] = torch_source(lukemelas, 96)
    result["lukemelas"]["tensors"] = fill(lukemelas)
    result["lukemelas-advprop"] = torch_source(lukemelas, 96, adapt=lambda x: 2 * (x * DEVIATION + MEAN) - 1)
    for name in ["efficientnet_b0", "tf_efficientnet_b0"]:
        net = timm.create_model(name)
        result[f"timm-{name}"] = torch_source(net, 96)
    result["timm-efficientnet_b0"]["tensors"] = fill(net)
    json.dump(result, sys.stdout, separators=(",", ":"))
    print()
    small_files()


main()
