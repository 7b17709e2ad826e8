"""Make networks.json: what torchvision's networks answer to weights and inputs made by a formula.

    python networks.py > networks.json

Weights of this size are too large to keep, so they follow from their names (formula.py). Everything is
computed in double precision and in evaluation mode.
"""

import json
import sys

import torch
import torchvision

from formula import picture, tensor

INPUTS = ["input.0", "input.9"]


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
