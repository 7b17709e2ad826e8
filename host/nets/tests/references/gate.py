"""Make gate.json: what the gate's network, built in PyTorch, answers to weights and inputs made by a
formula, and the gradients of one training step.

    python gate.py > gate.json

The formula is that of networks.py. Everything is computed in double precision; the step by batch
statistics.
"""

import json
import sys

import torch
from torch import nn

from formula import picture, tensor

CONVOLUTIONS = [(16, 2), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2), (128, 1)]
OUTPUTS = 12
INPUTS = ["input.0", "input.9"]


class Gate(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layers, inputs = [], 3
        for outputs, stride in CONVOLUTIONS:
            conv = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
            layers.append(nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU()))
            inputs = outputs
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(inputs, OUTPUTS)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = self.features(nn.functional.avg_pool2d(x, 2))
        return features, self.classifier(features.mean(dim=(2, 3)))


def main() -> None:
    net = Gate().double().eval()
    shapes = [(k, list(v.shape)) for k, v in net.state_dict().items() if not k.endswith("num_batches_tracked")]
    net.load_state_dict({k: tensor(k, s) for k, s in shapes}, strict=False)
    answers = []
    for name in INPUTS:
        with torch.no_grad():
            features, logits = net(picture(name))
        flat = features.flatten()
        at = list(range(0, len(flat), len(flat) // 24))
        answers.append({
            "input": name,
            "logits": logits[0].tolist(),
            "features": [[i, flat[i].item()] for i in at],
        })
    net.train()
    _, logits = net(torch.cat([picture(name) for name in INPUTS]))
    targets = torch.zeros(len(INPUTS), OUTPUTS, dtype=torch.float64)
    targets[0, 3] = targets[1, 7] = 1.0
    loss = nn.functional.binary_cross_entropy_with_logits(logits, targets)
    loss.backward()
    gradients = {}
    for name, parameter in net.named_parameters():
        flat = parameter.grad.flatten()
        at = [flat.abs().argmax().item(), len(flat) // 2]
        gradients[name] = {"norm": flat.norm().item(), "values": [[i, flat[i].item()] for i in at]}
    result = {"tensors": shapes, "answers": answers, "loss": loss.item(), "gradients": gradients}
    json.dump(result, sys.stdout, indent=1)


main()
