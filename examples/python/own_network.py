#!/usr/bin/env python3
"""Networks of one's own: a bias-free CNN and a ResNet with biases, trained in PyTorch far below 1e-16, audited, and run on in the lab.

    python examples/python/own_network.py [--out DIR] [--steps 2000] [--examples 100]

needs torch and scikit-learn (for its digits). Written: cnn.html and resnet.html, the audits; a table of what was found; and the time
of a step in the lab as a multiple of PyTorch's own on the same network, both in float64, in turns.
"""

import argparse
import statistics
import time
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import nn

import latephase
import latephase.torch as lt


class Block(nn.Module):
    """x + conv(relu(conv(x))), with biases."""

    def __init__(self, channels):
        super().__init__()
        self.one = nn.Conv2d(channels, channels, 3, padding=1)
        self.two = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        return torch.relu(x + self.two(torch.relu(self.one(x))))


def cnn():
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, bias=False), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(16, 10, bias=False),
    )  # fmt: skip


def resnet():
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), Block(8), nn.AvgPool2d(2), Block(8), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(32, 10)
    )


def train(module, x, y, steps):
    """Adam until the data are separated, then gradient descent far below 1e-16: every step lowers ln L by about 0.05."""
    adam = lt.ScaleFreeAdam(module.parameters(), lr=3e-3)
    for _ in range(steps // 4):
        adam.zero_grad()
        ln_loss = lt.log_loss(module(x), y)
        ln_loss.backward()
        adam.step(ln_loss=ln_loss)
    descent = lt.SteepestDescent(module.parameters(), lr=0.05)
    for _ in range(steps):
        descent.zero_grad()
        ln_loss = lt.log_loss(module(x), y)
        ln_loss.backward()
        descent.step()
    return ln_loss.item()


def overhead(module, x, y, rounds=5, steps=200):
    """Seconds of a step: the lab's, and PyTorch's own loop with its own loss and SGD; medians over turns."""
    spec = {
        "loss": "cross-entropy",
        "algorithm": {"kind": "stepped", "pace": {"kind": "loss-scaled", "eta": 1e-9}},
        "look": {"per_decade_of_step": 0, "per_decade_of_ln_loss": 0},
        "probes": ["accuracy"],
    }
    model = latephase.Model.from_torch(module)
    data = latephase.model.Data(x.numpy(), y.numpy())
    own, labs = [], []

    def lab(count):
        started = time.perf_counter()
        latephase.run({**spec, "stop": {"steps": count}}, model=model, data=data, progress=False)
        return time.perf_counter() - started

    sgd = torch.optim.SGD(module.parameters(), lr=1e-9)
    lab(1)
    for _ in range(rounds):
        started = time.perf_counter()
        for _ in range(steps):
            sgd.zero_grad()
            nn.functional.cross_entropy(module(x), y).backward()
            sgd.step()
        own.append((time.perf_counter() - started) / steps)
        # What a run costs beside its steps drops out of the difference.
        few, many = lab(2), lab(2 + steps)
        labs.append((many - few) / steps)
    return statistics.median(labs), statistics.median(own)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("."))
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--examples", type=int, default=100)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    digits = load_digits()
    x = torch.tensor(digits.images[: given.examples, None] / 16.0)
    y = torch.tensor(digits.target[: given.examples]).long()
    for name, make in [("cnn", cnn), ("resnet", resnet)]:
        torch.manual_seed(1)
        module = make().double()
        ln_loss = train(module, x, y, given.steps)
        audit = latephase.audit(module, (x.numpy(), y.numpy()), name=name)
        audit.report(given.out / f"{name}.html")
        lab, own = overhead(module, x, y)
        row = audit.row
        print(f"{name}: {audit.degree}")
        print(f"  loss 1e{ln_loss / 2.302585092994046:.1f}, margin {row['margin']:.4g}, beta {row['beta']:.4f}")
        print(f"  KKT residual with the best multipliers {row['kkt_relative']:.4f}; {len(audit.support)} constraints up to twice the least margin")
        print(f"  defect of homogeneity {audit.homogeneity_defect:.1e}")
        for stock in audit.stock:
            print(f"  {stock.function} in {stock.precision}: cosine {stock.cosine:.4f}, gradient 0 for {100 * stock.zero:.0f} % of the examples")
        print(f"  a step of the lab takes {lab / own:.2f} times PyTorch's own ({1e3 * lab:.2f} ms against {1e3 * own:.2f} ms)")


if __name__ == "__main__":
    main()
