"""Make gradcam.json: Grad-CAM of small heads by PyTorch's automatic differentiation.

    python gradcam.py > gradcam.json
"""

import json
import sys

import torch
from torch import nn

ROWS, COLUMNS = 3, 4


def case(head: nn.Sequential, channels: int) -> dict:
    features = (torch.randn(channels, ROWS, COLUMNS, dtype=torch.double) + 0.3).requires_grad_()
    pooled = features.mean(dim=(1, 2))
    pooled.retain_grad()
    logits = head(pooled)
    logit = logits[0] if len(logits) == 1 else logits[1] - logits[0]
    logit.backward()
    weights = features.grad.mean(dim=(1, 2), keepdim=True)
    cam = torch.relu((weights * features).sum(dim=0))
    linear = [layer for layer in head if isinstance(layer, nn.Linear)]
    return {
        "layers": [[m.in_features, m.out_features, m.weight.flatten().tolist(), m.bias.tolist()] for m in linear],
        "features": features.flatten().tolist(),
        "logits": logits.tolist(),
        "gradient": pooled.grad.tolist(),
        "cam": (cam / cam.max()).flatten().tolist(),
    }


torch.manual_seed(1)
cases = [
    case(nn.Sequential(nn.Linear(6, 1)).double(), 6),
    case(nn.Sequential(nn.Linear(7, 5), nn.ReLU(), nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 2)).double(), 7),
]
json.dump({"rows": ROWS, "columns": COLUMNS, "cases": cases}, sys.stdout, indent=1)
print()
