"""Make networks.json: what torchvision's networks answer to weights and inputs made by a formula.

    python networks.py > networks.json

Weights of this size are too large to keep, so they follow from their names: tests/common/reference.rs
holds the same formula. Everything is computed in double precision and in evaluation mode.
"""

import json
import sys

import numpy as np
import torch
import torchvision

SIDE = 256
BLOCK = 8
INPUTS = ["input.0", "input.9"]


def uniform(name: str, count: int) -> np.ndarray:
    """The values of `name` in [0, 1): FNV-1a of the name, then splitmix64 by index, upper 24 bits."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = ((seed ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(40)).astype(np.float64) / 2.0**24


def tensor(name: str, shape: list[int]) -> torch.Tensor:
    """A state-dict entry: norms near 1, offsets near 0, weights scaled by their fan-in."""
    u = uniform(name, int(np.prod(shape)))
    if name.endswith("running_var") or (name.endswith("weight") and len(shape) == 1):
        values = 0.5 + u
    elif name.endswith("weight"):
        values = (2.0 * u - 1.0) * np.sqrt(6.0 / np.prod(shape[1:]))
    else:
        values = (2.0 * u - 1.0) * 0.1
    return torch.from_numpy(values.astype(np.float32).astype(np.float64).reshape(shape))


def picture(name: str) -> torch.Tensor:
    """An input of 3 x 256 x 256: squares of 8 x 8 equal values in [-2, 2)."""
    squares = SIDE // BLOCK
    values = (4.0 * uniform(name, 3 * squares * squares) - 2.0).reshape(3, squares, squares)
    return torch.from_numpy(values.repeat(BLOCK, axis=1).repeat(BLOCK, axis=2))[None]


def densenet121() -> torch.nn.Module:
    net = torchvision.models.densenet121()
    net.classifier = torch.nn.Linear(1024, 1)
    return net


def efficientnet_b0() -> torch.nn.Module:
    net = torchvision.models.efficientnet_b0()
    net.classifier = torch.nn.Sequential(
        torch.nn.Linear(1280, 512),
        torch.nn.ReLU(),
        torch.nn.Linear(512, 128),
        torch.nn.ReLU(),
        torch.nn.Linear(128, 2),
    )
    return net


def answer(net: torch.nn.Module, dense: bool, name: str) -> dict:
    """Logits, some values of the last feature map, and Grad-CAM by autograd, divided by its peak."""
    with torch.no_grad():
        features = net.features(picture(name))
        if dense:
            features = torch.relu(features)
    features.requires_grad_()
    logits = net.classifier(features.mean(dim=(2, 3)))[0]
    logit = logits[0] if len(logits) == 1 else logits[1] - logits[0]
    logit.backward()
    cam = torch.relu((features.grad.mean(dim=(2, 3), keepdim=True) * features).sum(dim=1))[0]
    flat = features.detach().flatten()
    at = list(range(0, len(flat), len(flat) // 24))
    print(name, logits.tolist(), "features", flat.std().item(), "cam", cam.max().item(),
          (cam > 0).sum().item(), file=sys.stderr)
    return {
        "input": name,
        "logits": logits.tolist(),
        "features_shape": list(features.shape),
        "features_sum": flat.sum().item(),
        "features": [[i, flat[i].item()] for i in at],
        "cam": (cam / cam.max()).detach().flatten().tolist(),
    }


def training(net: torch.nn.Module, dense: bool) -> dict:
    """Loss and gradients of one training step on all inputs (labels 1, 0), nothing dropped out."""
    net.zero_grad()
    net.train()
    for module in net.modules():
        if isinstance(module, (torch.nn.Dropout, torchvision.ops.StochasticDepth)):
            module.eval()
    features = net.features(torch.cat([picture(i) for i in INPUTS]))
    if dense:
        features = torch.relu(features)
    logits = net.classifier(features.mean(dim=(2, 3)))
    logit = logits[:, 0] if logits.shape[1] == 1 else logits[:, 1] - logits[:, 0]
    label = torch.tensor([1.0, 0.0], dtype=torch.float64)
    loss = torch.nn.functional.binary_cross_entropy_with_logits(logit, label)
    loss.backward()
    gradients = {}
    for name, parameter in net.named_parameters():
        flat = parameter.grad.flatten()
        at = [flat.abs().argmax().item(), len(flat) // 2]
        gradients[name] = {"norm": flat.norm().item(), "values": [[i, flat[i].item()] for i in at]}
    statistics = {
        name: [value.sum().item(), value[0].item()]
        for name, value in net.state_dict().items()
        if "running" in name
    }
    return {"loss": loss.item(), "gradients": gradients, "statistics": statistics}


def main() -> None:
    result = {}
    for name, make, dense in [("densenet121", densenet121, True), ("efficientnet-b0", efficientnet_b0, False)]:
        net = make().double().eval()
        shapes = [(k, list(v.shape)) for k, v in net.state_dict().items() if not k.endswith("num_batches_tracked")]
        net.load_state_dict({k: tensor(k, s) for k, s in shapes}, strict=False)
        result[name] = {
            "tensors": [[k, s] for k, s in shapes],
            "answers": [answer(net, dense, i) for i in INPUTS],
            "training": training(net, dense),
        }
    json.dump(result, sys.stdout, separators=(",", ":"))
    print()


if __name__ == "__main__":
    main()
