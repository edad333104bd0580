#!/usr/bin/env python3
"""Runs the optimisers that people use, in float64, and keeps their iterates.

    python scripts/make_optimizer_golden.py crates/core/tests/golden/optimizers.json

needs torch, optax (with jax), torch_optimizer and pytorch_optimizer. The problem is a two-layer ReLU^2 network with
logistic or exponential sum loss on six points, at moderate loss: nothing underflows, so what is compared is each
optimiser's rule and nothing else. Each run names the settings of the descent that has to reproduce it.
"""

import json
import sys
from importlib.metadata import version

import jax
import numpy as np
import optax
import pytorch_optimizer
import torch
import torch_optimizer

jax.config.update("jax_enable_x64", True)
torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)

STEPS = 100
KEPT = [*range(1, 21), *range(25, STEPS + 1, 5)]
rng = np.random.default_rng(20250101)
INPUTS = rng.normal(size=(6, 2)).round(3)
SIGNS = np.where(INPUTS[:, 0] + 0.5 * INPUTS[:, 1] > 0, 1.0, -1.0)


def start(hidden, bias):
    """The blocks of theta in the order of torch.nn.Sequential: weights, biases, weights."""
    blocks = [0.5 * rng.normal(size=(hidden, 2)).round(2)]
    if bias:
        blocks.append(0.5 * np.abs(rng.normal(size=hidden)).round(2))
    blocks.append(0.5 * rng.normal(size=(1, hidden)).round(2))
    return blocks


STARTS = {"bias": start(2, True), "plain": start(3, False)}


def loss_of(blocks, kind):
    x = torch.tensor(INPUTS)
    z = x @ blocks[0].T
    if len(blocks) == 3:
        z = z + blocks[1]
    f = (torch.relu(z) ** 2) @ blocks[-1].T
    q = torch.tensor(SIGNS) * f[:, 0]
    if kind == "exponential":
        return torch.exp(-q).sum()
    return torch.nn.functional.softplus(-q).sum()


def flat(blocks):
    return [float(x) for b in blocks for x in b.detach().numpy().ravel()]


def torch_run(make, start, kind):
    blocks = [torch.nn.Parameter(torch.tensor(b)) for b in STARTS[start]]
    optimizer = make(blocks)
    rows = []
    for step in range(1, STEPS + 1):
        optimizer.zero_grad()
        loss = loss_of(blocks, kind)
        loss.backward()
        optimizer.step()
        if step in KEPT:
            rows.append(flat(blocks))
    return rows, float(loss_of(blocks, kind).detach())


def optax_run(make, start, kind):
    blocks = [torch.nn.Parameter(torch.tensor(b)) for b in STARTS[start]]
    params = [jax.numpy.asarray(b) for b in STARTS[start]]
    transform = make()
    state = transform.init(params)
    rows = []
    for step in range(1, STEPS + 1):
        for b, p in zip(blocks, params):
            b.data.copy_(torch.tensor(np.array(p)))
            b.grad = None
        loss_of(blocks, kind).backward()
        grads = [jax.numpy.asarray(b.grad.numpy()) for b in blocks]
        updates, state = transform.update(grads, state, params)
        params = optax.apply_updates(params, updates)
        if step in KEPT:
            rows.append([float(x) for p in params for x in np.asarray(p).ravel()])
    for b, p in zip(blocks, params):
        b.data.copy_(torch.tensor(np.array(p)))
    return rows, float(loss_of(blocks, kind).detach())


class Muon64(torch.optim.Optimizer):
    """The rule printed in torch.optim.Muon's documentation, written out in float64 with numpy."""

    def __init__(self, params, lr, momentum, nesterov, steps, eps, adjust, weight_decay, exact=False):
        super().__init__(params, {})
        self.rule = (lr, momentum, nesterov, steps, eps, adjust, weight_decay, exact)
        self.buffers = {}

    @torch.no_grad()
    def step(self):
        lr, mu, nesterov, steps, eps, adjust, decay, exact = self.rule
        for p in self.param_groups[0]["params"]:
            g = p.grad.numpy()
            buf = self.buffers.setdefault(p, np.zeros_like(g))
            buf *= mu
            buf += (1 - mu) * g
            update = (1 - mu) * g + mu * buf if nesterov else buf
            if exact:
                u, _, vt = np.linalg.svd(update, full_matrices=False)
                x = u @ vt
            else:
                x = update / max(np.linalg.norm(update), eps)
                for _ in range(steps):
                    gram = x @ x.T
                    x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
            rows, cols = g.shape
            ratio = {
                "none": 1.0,
                "original": max(1.0, rows / cols) ** 0.5,
                "match-rms-adamw": 0.2 * max(rows, cols) ** 0.5,
            }[adjust]
            p.mul_(1 - lr * decay)
            p.sub_(torch.tensor(lr * ratio * x))


def stock_muon_spread():
    """One orthogonalisation by the stock bfloat16 routine: the matrix, and what it makes of it."""
    from torch.optim._muon import _zeropower_via_newtonschulz

    a = rng.normal(size=(4, 6)).round(3)
    out = _zeropower_via_newtonschulz(torch.tensor(a), (3.4445, -4.7750, 2.0315), 5, 1e-7)
    return {"rows": 4, "cols": 6, "matrix": a.ravel().tolist(), "factor": out.double().numpy().ravel().tolist()}


T = torch.optim
RUNS = [
    # name, peer, settings of the descent, eta, start, loss, runner, maker
    ("sgd heavy ball", "torch.optim.SGD", "kind = 'momentum'", 0.02, "bias", "logistic",
     torch_run, lambda p: T.SGD(p, lr=0.02, momentum=0.9)),
    ("sgd dampened", "torch.optim.SGD", "kind = 'momentum'\ndampening = 0.3", 0.02, "bias", "exponential",
     torch_run, lambda p: T.SGD(p, lr=0.02, momentum=0.9, dampening=0.3)),
    ("sgd nesterov", "torch.optim.SGD", "kind = 'momentum'\nbeta = 0.8\nnesterov = true", 0.02, "plain", "logistic",
     torch_run, lambda p: T.SGD(p, lr=0.02, momentum=0.8, nesterov=True)),
    ("adam", "torch.optim.Adam", "kind = 'adam'", 0.02, "bias", "logistic",
     torch_run, lambda p: T.Adam(p, lr=0.02)),
    ("adam large epsilon", "torch.optim.Adam", "kind = 'adam'\nbeta2 = 0.9\nepsilon = 0.1", 0.05, "plain", "exponential",
     torch_run, lambda p: T.Adam(p, lr=0.05, betas=(0.9, 0.9), eps=0.1)),
    ("adamw", "torch.optim.AdamW", "kind = 'adam'\nweight_decay = 0.1", 0.02, "bias", "exponential",
     torch_run, lambda p: T.AdamW(p, lr=0.02, weight_decay=0.1)),
    ("rmsprop", "torch.optim.RMSprop", "kind = 'rmsprop'", 0.01, "bias", "logistic",
     torch_run, lambda p: T.RMSprop(p, lr=0.01)),
    ("rmsprop centered", "torch.optim.RMSprop", "kind = 'rmsprop'\ncentered = true\nalpha = 0.9\nepsilon = 1e-3",
     0.005, "bias", "logistic",
     torch_run, lambda p: T.RMSprop(p, lr=0.005, alpha=0.9, eps=1e-3, centered=True)),
    ("rmsprop momentum", "torch.optim.RMSprop", "kind = 'rmsprop'\nmomentum = 0.9", 0.002, "plain", "exponential",
     torch_run, lambda p: T.RMSprop(p, lr=0.002, momentum=0.9)),
    ("adagrad", "torch.optim.Adagrad", "kind = 'adagrad'\nlr_decay = 0.01\ninitial = 0.1", 0.1, "bias", "logistic",
     torch_run, lambda p: T.Adagrad(p, lr=0.1, lr_decay=0.01, initial_accumulator_value=0.1)),
    ("sign", "optax.sign_sgd", "kind = 'sign'", 0.01, "bias", "logistic",
     optax_run, lambda: optax.sign_sgd(0.01)),
    ("signum", "optax.signum", "kind = 'signum'", 0.01, "bias", "logistic",
     optax_run, lambda: optax.signum(0.01, beta=0.9)),
    ("lion", "optax.lion", "kind = 'lion'\nweight_decay = 0.1", 0.01, "bias", "logistic",
     optax_run, lambda: optax.lion(0.01, weight_decay=0.1)),
    ("shampoo novik", "torch_optimizer.Shampoo", "kind = 'shampoo'\nexponent = 0.5\nsequential = true", 0.05, "bias",
     "logistic", torch_run, lambda p: torch_optimizer.Shampoo(p, lr=0.05, epsilon=1e-4)),
    ("shampoo novik every 3", "torch_optimizer.Shampoo",
     "kind = 'shampoo'\nexponent = 0.5\nsequential = true\nevery = 3\nepsilon = 0.1", 0.05, "plain", "exponential",
     torch_run, lambda p: torch_optimizer.Shampoo(p, lr=0.05, epsilon=0.1, update_freq=3)),
    ("shampoo gupta", "pytorch_optimizer.Shampoo", "kind = 'shampoo'\nepsilon = 1e-6", 0.1, "bias", "exponential",
     torch_run, lambda p: pytorch_optimizer.Shampoo(p, lr=0.1, matrix_eps=1e-6)),
    ("muon newton-schulz", "float64 transcription of torch.optim.Muon",
     "kind = 'muon'\nscale = 'original'\nweight_decay = 0.1\northogonalize = { kind = 'newton-schulz', epsilon = 1e-7 }",
     0.02, "plain", "logistic", torch_run, lambda p: Muon64(p, 0.02, 0.95, True, 5, 1e-7, "original", 0.1)),
    ("muon large epsilon", "float64 transcription of torch.optim.Muon",
     "kind = 'muon'\nnesterov = false\nscale = 'match-rms-adamw'\n"
     "orthogonalize = { kind = 'newton-schulz', epsilon = 10.0 }",
     0.02, "plain", "logistic", torch_run, lambda p: Muon64(p, 0.02, 0.95, False, 5, 10.0, "match-rms-adamw", 0.0)),
    ("muon svd", "float64 polar factor by numpy", "kind = 'muon'\nbeta = 0.9", 0.02, "plain", "exponential",
     torch_run, lambda p: Muon64(p, 0.02, 0.9, True, 0, 0.0, "none", 0.0, exact=True)),
    ("muon stock", "torch.optim.Muon (bfloat16 inside)",
     "kind = 'muon'\nscale = 'original'\nweight_decay = 0.1\northogonalize = { kind = 'newton-schulz', epsilon = 1e-7 }",
     0.02, "plain", "logistic", torch_run, lambda p: T.Muon(p, lr=0.02, weight_decay=0.1)),
]


def main():
    out = {
        "versions": {
            "torch": torch.__version__,
            "optax": optax.__version__,
            "jax": jax.__version__,
            "numpy": np.__version__,
            "torch_optimizer": version("torch_optimizer"),
            "pytorch_optimizer": version("pytorch_optimizer"),
        },
        "inputs": INPUTS.ravel().tolist(),
        "signs": SIGNS.tolist(),
        "steps": KEPT,
        "starts": {name: [float(x) for b in blocks for x in b.ravel()] for name, blocks in STARTS.items()},
        "hidden": {"bias": 2, "plain": 3},
        "stock_newton_schulz": stock_muon_spread(),
        "runs": [],
    }
    for name, peer, descent, eta, start_name, loss, runner, make in RUNS:
        rows, last = runner(make, start_name, loss)
        print(f"{name:24} {peer:44} final loss {last:.3e}")
        out["runs"].append(
            {"name": name, "peer": peer, "descent": descent, "eta": eta, "start": start_name, "loss": loss, "theta": rows}
        )
    text = json.dumps(out, separators=(",", ":")).replace('{"name"', '\n{"name"')
    with open(sys.argv[1], "w") as file:
        file.write(text + "\n")


main()
