#!/usr/bin/env python3
"""Makes recipes/weights/torch-digits.safetensors: a network trained by PyTorch as anyone would.

Ten classes of handwritten digits, a 64-32-10 ReLU network without biases, float32, torch's default initialisation,
torch.nn.functional.cross_entropy (mean), Adam with its defaults but for the rate 1e-2, batches of 100, 1000 epochs. The recipe
`continue-torch` audits it and goes on from it. The file in the repository was made with torch 2.15.0 (CPU, one thread);
another version or machine gives other bits and the same picture.

Usage: python3 scripts/make_torch_digits.py [FILE]      needs torch, numpy, safetensors
"""

import gzip
import pathlib
import sys

import numpy as np
import torch
from safetensors.torch import save_file

ROOT = pathlib.Path(__file__).resolve().parent.parent
TRAIN, EPOCHS, BATCH = 1000, 1000, 100


def digits():
    """The built-in digits as `data = { kind = "digits", train = 1000 }` has them: in file order, pixels over 16."""
    with gzip.open(ROOT / "crates/lab/data/digits.csv.gz", "rt") as file:
        table = np.loadtxt(file, delimiter=",")
    x = torch.tensor(table[:, :-1] / 16.0, dtype=torch.float32)
    return x, torch.tensor(table[:, -1], dtype=torch.int64)


def main(path):
    torch.manual_seed(0)
    torch.set_num_threads(1)
    x, y = digits()
    model = torch.nn.Sequential(
        torch.nn.Linear(64, 32, bias=False), torch.nn.ReLU(), torch.nn.Linear(32, 10, bias=False)
    )
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(EPOCHS):
        for batch in torch.randperm(TRAIN).split(BATCH):
            loss = torch.nn.functional.cross_entropy(model(x[batch]), y[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    with torch.no_grad():
        out = model(x)
        loss = torch.nn.functional.cross_entropy(out[:TRAIN], y[:TRAIN])
        right = (out.argmax(1) == y).float()
        print(f"torch {torch.__version__}: training loss {loss:.3e}, accuracy {right[:TRAIN].mean():.4f} / {right[TRAIN:].mean():.4f}")
    save_file(model.state_dict(), path, metadata={"made_by": f"torch {torch.__version__}"})


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else str(ROOT / "recipes/weights/torch-digits.safetensors"))
