"""Weights and inputs that follow from their names; tests/common/reference.rs holds the same formula."""

import numpy as np
import torch

SIDE = 256
BLOCK = 8


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
