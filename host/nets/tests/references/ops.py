"""Make ops.json: PyTorch's outputs and gradients of every operation of the networks, on odd shapes.

    python ops.py > ops.json

Input i of a case is sin(1 + 7 i + 1.3 k) at its element k; the gradients are those of the output's sum
weighted by sin(100 + 1.3 k). Everything is computed in double precision.
"""

import json
import sys

import torch
import torchvision
from torch.nn import functional as F

X = [2, 3, 7, 9]
ACTIVATIONS = {"identity": lambda y: y, "relu": F.relu, "silu": F.silu}


def wave(start, shape):
    count = torch.Size(shape).numel()
    return torch.sin(start + 1.3 * torch.arange(count, dtype=torch.float64)).reshape(shape)


def batch_norm(activation, training):
    def apply(x, gamma, beta):
        mean, variance = torch.tensor([0.1, -0.2, 0.3]).double(), torch.tensor([0.5, 1.0, 2.0]).double()
        return activation(F.batch_norm(x, mean, variance, gamma, beta, training, eps=1e-3))

    return apply


def squeeze_excitation(x, *weights):
    layer = torchvision.ops.SqueezeExcitation(3, 2, activation=torch.nn.SiLU).double()
    names = ["fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"]
    return torch.func.functional_call(layer, dict(zip(names, weights)), x)


CASES = {}
for kernel, stride, x in [(1, 1, X), (3, 1, X), (5, 1, X), (3, 2, X), (7, 2, [1, 3, 11, 13])]:
    convolve = lambda x, w, s=stride, p=kernel // 2: F.conv2d(x, w, stride=s, padding=p)
    CASES[f"convolution {kernel} {stride}"] = (convolve, [x, [4, 3, kernel, kernel]])
for kernel in (3, 5):
    for stride in (1, 2):
        convolve = lambda x, w, s=stride, p=kernel // 2: F.conv2d(x, w, stride=s, padding=p, groups=3)
        CASES[f"depthwise {kernel} {stride}"] = (convolve, [X, [3, 1, kernel, kernel]])
for name, activation in ACTIVATIONS.items():
    for training in (True, False):
        mode = "training" if training else "evaluation"
        CASES[f"batch norm {name} {mode}"] = (batch_norm(activation, training), [X, [3], [3]])
CASES["max pool"] = (lambda x: F.max_pool2d(x, 3, 2, 1), [X])
CASES["average pool"] = (lambda x: F.avg_pool2d(x, 2), [X])
CASES["global average"] = (lambda x: x.mean((2, 3)), [X])
CASES["concatenation"] = (lambda x, y: torch.cat([x, y], 1), [X, [2, 5, 7, 9]])
CASES["squeeze and excitation"] = (squeeze_excitation, [X, [2, 3, 1, 1], [2], [3, 2, 1, 1], [3]])


def answer(apply, shapes):
    inputs = [wave(1 + 7 * i, shape).requires_grad_() for i, shape in enumerate(shapes)]
    y = apply(*inputs)
    gradients = torch.autograd.grad((y * wave(100, y.shape)).sum(), inputs)
    rounded = [[float(f"{v:.7g}") for v in t.flatten().tolist()] for t in (y, *gradients)]
    return {"shapes": shapes, "output": list(y.shape), "values": rounded}


json.dump({name: answer(*case) for name, case in CASES.items()}, sys.stdout)
print()
