"""The counterpart of training_step.rs in PyTorch and torchvision.

    python training_step.py [SIDE [REPEATS [THREADS]]]
"""

import statistics
import sys
import time

import torch
import torchvision

side, repeats, threads = (
    int(sys.argv[i]) if len(sys.argv) > i else default
    for i, default in ((1, 256), (2, 5), (3, 2))
)
torch.set_num_threads(threads)
for name, films in (("densenet121", 16), ("efficientnet_b0", 20)):
    net = getattr(torchvision.models, name)().train()
    x = torch.rand(films, 3, side, side) * 2 - 1
    forward, backward = [], []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        loss = net(x).square().mean()
        forward.append(time.perf_counter() - start)
        start = time.perf_counter()
        loss.backward()
        backward.append(time.perf_counter() - start)
        net.zero_grad()
    f, b = statistics.median(forward[1:]), statistics.median(backward[1:])
    print(f"{name}: batch {films} at {side}: forward {f:.3f} s, backward {b:.3f} s, {films / (f + b):.1f} films/s")
