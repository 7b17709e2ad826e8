"""A training step in PyTorch and torchvision: the other side of training_step.rs, which calls it.

    python training_step.py NETWORK BATCH SIDE STEPS THREADS

Prints the seconds of each step after the first, then the most memory held, in megabytes.
"""

import resource
import sys
import time

import torch
import torchvision

name = sys.argv[1]
films, side, steps, threads = map(int, sys.argv[2:])
torch.set_num_threads(threads)
net = getattr(torchvision.models, name)().train()
labels = torch.arange(films) % 2
if name == "densenet121":
    net.classifier = torch.nn.Linear(1024, 1)
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-4)
    loss_of = lambda y: torch.nn.functional.binary_cross_entropy_with_logits(y[:, 0], labels.float())
else:
    layers = (torch.nn.Linear(1280, 512), torch.nn.Linear(512, 128), torch.nn.Linear(128, 2))
    relu = torch.nn.ReLU()
    net.classifier = torch.nn.Sequential(torch.nn.Dropout(0.2), layers[0], relu, layers[1], relu, layers[2])
    optimiser = torch.optim.Adagrad(net.parameters(), lr=1e-2)
    loss_of = lambda y: torch.nn.functional.cross_entropy(y, labels)
x = torch.rand(films, 3, side, side) * 2 - 1
for step in range(steps + 1):
    start = time.perf_counter()
    optimiser.zero_grad()
    loss_of(net(x)).backward()
    optimiser.step()
    if step > 0:
        print(time.perf_counter() - start, end=" ")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)
