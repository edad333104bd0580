"""PyTorch training in log space: what a careful user writes to go past a loss of 1e-16.

The network is a bias-free two-layer ReLU network; the currency is ln L, exact for both losses, so the gradient
stays right at any loss that f64 weights can reach. Two step rules, both full batch:

loss-based     move by -a * grad(ln L); keep the step if ln L did not rise and multiply a by 2^(1/5), else go
               back and divide a by 2^(1/10): the rule of Lyu & Li (2020), which they apply once an epoch,
               applied to every step
unit-decrease  choose the step so that ln L should fall by eta; keep it if it falls by 0.3 of that and multiply
               eta by 1.2 (at most 0.1), else go back and halve eta
"""

import math
import time

import torch
from torch.nn import functional as F

RULES = ("loss-based", "unit-decrease")


class Network:
    """Data, weights, and how often they have been evaluated."""

    def __init__(self, x, y, weights, loss, reduction):
        self.x, self.y = torch.tensor(x), torch.tensor(y)
        self.weights = [torch.tensor(w).requires_grad_() for w in weights]
        self.loss = loss
        self.shift = -math.log(len(y)) if reduction == "mean" else 0.0
        self.evaluations = 0

    def evaluate(self):
        """ln L with its graph, and the margins q_i."""
        self.evaluations += 1
        first, second = self.weights
        q = self.y * (torch.relu(self.x @ first.T) @ second.T)[:, 0]
        if self.loss == "exponential":
            ln_each = -q
        else:
            # ln ln(1 + e^-q) = -q to rounding for q > 37. The clamp keeps the unused branch's gradient finite.
            ln_each = torch.where(q > 37.0, -q, torch.log(-F.logsigmoid(q.clamp(max=37.0))))
        return torch.logsumexp(ln_each, 0) + self.shift, q.detach()

    def move(self, origin, grads, step):
        """Sets the weights to origin - step * grads."""
        with torch.no_grad():
            for w, o, g in zip(self.weights, origin, grads):
                torch.sub(o, g, alpha=step, out=w)


class LossBased:
    def __init__(self):
        self.alpha = 0.1

    def length(self, slope):
        return self.alpha

    def judge(self, fall, slope):
        keep = fall >= 0.0
        self.alpha *= 2 ** (1 / 5) if keep else 2 ** (-1 / 10)
        return keep


class UnitDecrease:
    def __init__(self):
        self.eta = 0.1

    def length(self, slope):
        return self.eta / slope

    def judge(self, fall, slope):
        keep = fall >= 0.3 * self.eta
        self.eta = min(0.1, 1.2 * self.eta) if keep else 0.5 * self.eta
        return keep


def race(x, y, weights, loss, reduction, rule, targets, max_seconds):
    """Trains from `weights` and yields one result for each target (decades below 1, ascending).

    The clock starts after one evaluation that warms the library up. A result with `reached` false is where the
    run stood when its time was over; no further targets follow it.
    """
    Network(x, y, weights, loss, reduction).evaluate()[0].backward()
    network = Network(x, y, weights, loss, reduction)
    pace = LossBased() if rule == "loss-based" else UnitDecrease()
    start, start_cpu = time.perf_counter(), time.process_time()
    ln_loss, q = network.evaluate()
    accepted = 0

    def result(target, reached):
        seconds = time.perf_counter() - start
        rho_squared = sum(float(w.detach().square().sum()) for w in network.weights)
        return dict(
            seconds=seconds,
            cpu_seconds=time.process_time() - start_cpu,
            target=f"1e-{target:g}",
            reached=reached,
            evaluations=network.evaluations,
            accepted=accepted,
            log10_loss=ln_loss.item() / math.log(10),
            margin=float(q.min()) / rho_squared,
            rho=math.sqrt(rho_squared),
        )

    for target in targets:
        while ln_loss.item() > -target * math.log(10):
            origin = [w.detach().clone() for w in network.weights]
            grads = torch.autograd.grad(ln_loss, network.weights)
            slope = sum(float(g.square().sum()) for g in grads)
            while True:
                if time.perf_counter() - start > max_seconds:
                    network.move(origin, grads, 0.0)
                    yield result(target, False)
                    return
                step = pace.length(slope)
                network.move(origin, grads, step)
                trial, trial_q = network.evaluate()
                if pace.judge(ln_loss.item() - trial.item(), slope):
                    break
                if step * math.sqrt(slope) < 1e-300:
                    raise SystemExit("the step underflowed: no decrease is representable")
            ln_loss, q = trial, trial_q
            accepted += 1
        yield result(target, True)
