"""Shows which way PyTorch's stock cross-entropy points when the loss is small.

A linear classifier of ten classes separates its examples; its weights are scaled until the mean loss is 10^-N.
The gradient in float64 by `torch.nn.functional.cross_entropy`, and by a hand-written ln L, is compared with 50
digits of mpmath. `--problem` writes the problem for others to read, `--ours` reads their gradient of it.
"""

import argparse
import json
import math
from pathlib import Path

import mpmath
import numpy as np
import torch
from torch.nn import functional as F

CLASSES, INPUTS, EXAMPLES = 10, 20, 60

p = argparse.ArgumentParser(description=__doc__)
p.add_argument("--decades", type=float, default=300.0, help="N of the loss 1e-N of --problem and --ours")
p.add_argument("--seed", type=int, default=0)
p.add_argument("--problem", type=Path, help="write weights, inputs and labels to this JSON file")
p.add_argument("--ours", type=Path, help='read {"gradient": [...]} of ln L, flat, in the order of the weights')
args = p.parse_args()
mpmath.mp.dps = 50


def separable(seed):
    """Directions (10 x inputs), inputs and labels: of many random inputs those that are separated best."""
    rng = np.random.default_rng(seed)
    weights = rng.standard_normal((CLASSES, INPUTS))
    inputs = rng.standard_normal((100 * EXAMPLES, INPUTS))
    logits = np.sort(inputs @ weights.T, axis=1)
    best = np.argsort(logits[:, -2] - logits[:, -1])[:EXAMPLES]
    return weights, inputs[best], np.argmax(inputs[best] @ weights.T, axis=1)


def ln_loss(weights, inputs, labels):
    """ln of the mean cross-entropy, never formed from the loss itself. With s = ln sum_{j != y} exp(o_j - o_y),
    one example's loss is softplus(s), whose logarithm is s to rounding for s < -37."""
    logits = inputs @ weights.T
    correct = logits.gather(1, labels[:, None])
    others = torch.ones_like(logits).scatter(1, labels[:, None], 0.0).bool()
    s = torch.logsumexp((logits - correct)[others].reshape(len(labels), -1), 1)
    ln_each = torch.where(s < -37.0, s, torch.log(-F.logsigmoid(-s.clamp(min=-37.0))))
    return torch.logsumexp(ln_each, 0) - math.log(len(labels))


def scale_to(decades, weights, inputs, labels):
    """The multiple of the weights at which the mean loss is 10^-decades."""
    w, x, y = torch.tensor(weights), torch.tensor(inputs), torch.tensor(labels)
    low, high = 0.0, 1.0
    while ln_loss(high * w, x, y).item() > -decades * math.log(10):
        high *= 2.0
    for _ in range(100):
        middle = (low + high) / 2
        above = ln_loss(middle * w, x, y).item() > -decades * math.log(10)
        low, high = (middle, high) if above else (low, middle)
    return high * weights


def exact_gradient(weights, inputs, labels):
    """The gradient in 50 digits, flat, its largest entry scaled to 1; and log10 of the mean loss."""
    mp = mpmath.mp
    total = mp.mpf(0)
    gradient = [[mp.mpf(0)] * INPUTS for _ in range(CLASSES)]
    columns = [[mp.mpf(float(v)) for v in row] for row in weights]
    for x, y in zip(inputs, labels):
        x = [mp.mpf(float(v)) for v in x]
        logits = [mp.fdot(row, x) for row in columns]
        odds = [mp.exp(o - logits[y]) if j != y else mp.mpf(0) for j, o in enumerate(logits)]
        wrong = mp.fsum(odds)
        total += mp.log1p(wrong)
        for j in range(CLASSES):
            share = (odds[j] if j != y else -wrong) / (1 + wrong)
            for d in range(INPUTS):
                gradient[j][d] += share * x[d]
    flat = [v for row in gradient for v in row]
    largest = max(abs(v) for v in flat)
    return np.array([float(v / largest) for v in flat]), float(mp.log10(total / len(labels)))


def gradient_of(loss, weights, inputs, labels):
    w = torch.tensor(weights).requires_grad_()
    value = loss(w, torch.tensor(inputs), torch.tensor(labels))
    value.backward()
    return value.item(), w.grad.numpy().ravel()


def cosine(a, b):
    """NaN where a gradient is exactly zero; scaled first, since squares of 1e-300 underflow."""
    if not (np.abs(a).max() > 0 and np.abs(b).max() > 0):
        return math.nan
    a, b = a / np.abs(a).max(), b / np.abs(b).max()
    return float(a @ b / math.sqrt((a @ a) * (b @ b)))


def stock(w, x, y):
    return F.cross_entropy(x @ w.T, y)


base, inputs, labels = separable(args.seed)
print("exact loss   cross_entropy  its cosine  ln L by hand, its cosine")
for decades in sorted({5.0, 10.0, 15.0, 17.0, 20.0, 50.0, 100.0, 200.0, 300.0, 330.0, 1000.0, args.decades}):
    weights = scale_to(decades, base, inputs, labels)
    exact, log10_loss = exact_gradient(weights, inputs, labels)
    value, grad = gradient_of(stock, weights, inputs, labels)
    _, by_hand = gradient_of(ln_loss, weights, inputs, labels)
    print(f"10^{log10_loss:<9.2f} {value:<14.3g} {cosine(grad, exact):<11.6f} {cosine(by_hand, exact):.15f}")
    if decades != args.decades:
        continue
    if args.problem:
        problem = dict(log10_loss=log10_loss, weights=weights.tolist())
        problem |= dict(inputs=inputs.tolist(), labels=labels.tolist())
        args.problem.write_text(json.dumps(problem) + "\n")
    if args.ours:
        ours = np.array(json.loads(args.ours.read_text())["gradient"], dtype=float).ravel()
        if ours.size != exact.size:
            raise SystemExit(f"{args.ours}: {ours.size} numbers, but the weights are {CLASSES} x {INPUTS}")
        print(f"    latephase at this loss: cosine {cosine(ours, exact):.15f}")
