"""A training step in PyTorch and torchvision: the other side of training_step.rs, which calls it.

    python training_step.py NETWORK BATCH SIDE STEPS THREADS {cpu|cuda}

On cuda in bf16 (autocast), channels last, with the fastest convolutions cuDNN finds.

Prints the seconds of each step after the first, then the most memory held, of the computer or of
the GPU, in megabytes.
"""

import resource
import sys
import time

import torch
import torchvision

name = sys.argv[1]
films, side, steps, threads = map(int, sys.argv[2:6])
device = torch.device(sys.argv[6])
on_gpu = device.type == "cuda"
torch.set_num_threads(threads)
net = getattr(torchvision.models, name)().train()
labels = torch.arange(films, device=device) % 2
if name == "densenet121":
    net.classifier = torch.nn.Linear(1024, 1)
    rule, rate = torch.optim.Adam, 1e-4
    loss_of = lambda y: torch.nn.functional.binary_cross_entropy_with_logits(y[:, 0], labels.float())
else:
    layers = (torch.nn.Linear(1280, 512), torch.nn.Linear(512, 128), torch.nn.Linear(128, 2))
    relu = torch.nn.ReLU()
    net.classifier = torch.nn.Sequential(torch.nn.Dropout(0.2), layers[0], relu, layers[1], relu, layers[2])
    rule, rate = torch.optim.Adagrad, 1e-2
    loss_of = lambda y: torch.nn.functional.cross_entropy(y, labels)
x = torch.rand(films, 3, side, side) * 2 - 1
if on_gpu:
    torch.backends.cudnn.benchmark = True
    net = net.to(device, memory_format=torch.channels_last)
    x = x.to(device, memory_format=torch.channels_last)
optimiser = rule(net.parameters(), lr=rate)
for step in range(steps + 1):
    start = time.perf_counter()
    optimiser.zero_grad()
    with torch.autocast("cuda", torch.bfloat16, enabled=on_gpu):
        loss = loss_of(net(x))
    loss.backward()
    optimiser.step()
    if on_gpu:
        torch.cuda.synchronize()
    if step > 0:
        print(time.perf_counter() - start, end=" ")
if on_gpu:
    print(torch.cuda.max_memory_allocated() / 1e6)
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)
