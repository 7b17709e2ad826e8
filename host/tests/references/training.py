"""Make training.json: the steps of PyTorch's optimisers, and its losses with their gradients.

    python training.py > training.json

Everything is computed in single precision, as training is.
"""

import json
import sys

import torch
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

STEPS = 12
START = [0.5, -1.25, 2.0, -0.01, 0.0]

OPTIMISERS = {
    "adagrad": lambda w: torch.optim.Adagrad(w, lr=0.05),
    "adagrad with decay": lambda w: torch.optim.Adagrad(w, lr=0.05, weight_decay=0.1),
    "adam": lambda w: torch.optim.Adam(w, lr=0.02),
    "adam with decay": lambda w: torch.optim.Adam(w, lr=0.02, weight_decay=0.1),
    "adamw": lambda w: torch.optim.AdamW(w, lr=0.02, weight_decay=0.1),
    "sgd": lambda w: torch.optim.SGD(w, lr=0.1),
    "sgd with momentum and decay": lambda w: torch.optim.SGD(w, lr=0.1, momentum=0.9, weight_decay=0.1),
}


def gradients():
    step = torch.arange(STEPS, dtype=torch.float64)[:, None]
    place = torch.arange(len(START), dtype=torch.float64)
    return (torch.sin(1.3 * step + 0.7 * place) * 10.0 ** (place - 3.0)).float()


def trajectory(make):
    w = torch.nn.Parameter(torch.tensor(START))
    optimiser = make([w])
    seen = []
    for gradient in gradients():
        w.grad = gradient.clone()
        optimiser.step()
        seen.append(w.detach().tolist())
    return seen


def focal(logit, label, gamma):
    # Lin et al., 2017: the cross entropy times (1 - p)^gamma, p the probability of the truth.
    probability = torch.sigmoid(torch.where(label > 0.5, logit, -logit))
    return (1 - probability) ** gamma * cross_entropy(logit, label, reduction="none")


def losses():
    logit = torch.tensor([-3.0, 0.5, 90.0, -90.0, 0.0, 2.25])
    label = torch.tensor([0.0, 1.0, 1.0, 1.0, 0.0, 0.0])
    weight = torch.where(label > 0.5, 5.0, 1.0)
    kinds = {
        "cross-entropy": lambda z: cross_entropy(z, label),
        "cross-entropy, positives weigh 5": lambda z: cross_entropy(z, label, pos_weight=torch.tensor(5.0)),
        "focal 2": lambda z: focal(z, label, 2.0).mean(),
        "focal 1.5, positives weigh 5": lambda z: (weight * focal(z, label, 1.5)).mean(),
    }
    answers = {}
    for name, loss in kinds.items():
        z = logit.clone().requires_grad_()
        value = loss(z)
        value.backward()
        answers[name] = {"loss": value.item(), "gradient": z.grad.tolist()}
    return {"logit": logit.tolist(), "label": label.tolist(), "answers": answers}


json.dump(
    {
        "start": START,
        "gradients": gradients().tolist(),
        "trajectories": {name: trajectory(make) for name, make in OPTIMISERS.items()},
        "losses": losses(),
    },
    sys.stdout,
    indent=1,
)
