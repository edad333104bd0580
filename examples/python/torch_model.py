#!/usr/bin/env python3
"""The PyTorch module of a latephase model, so that weights go both ways.

`module(model, shape, outputs)` takes what stands under `model` in a spec (as a dict), the shape of an input and the number of
outputs, and returns a float64 torch.nn.Sequential whose state_dict has the names and shapes of theta.safetensors:

    import tomllib
    from safetensors.torch import load_file
    from torch_model import module
    spec = tomllib.load(open("runs/quickstart-1a2b3c4d/spec.toml", "rb"))
    net = module(spec["model"], (1, 8, 8), 1)
    net.load_state_dict(load_file("runs/quickstart-1a2b3c4d/theta.safetensors"))

As a program it is the other side of latephase's tests: `torch_model.py JOBS.json` with a list of jobs
{"model", "shape", "outputs", "weights", "inputs", "results"} writes outputs and gradients for the rows `x` and the cotangents
`cot` of `inputs`, and a job {"save", "layers", "dtype", "digits"} saves a fresh network as PyTorch users do.
"""

import gzip
import json
import sys

import torch
from torch import nn

ACTIVATIONS = {
    "relu": nn.ReLU,
    "identity": nn.Identity,
    "softplus": nn.Softplus,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "gelu-tanh": lambda: nn.GELU(approximate="tanh"),
    "mish": nn.Mish,
    "hardswish": nn.Hardswish,
    "elu": nn.ELU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}


class Residual(nn.Module):
    def __init__(self, body, shortcut):
        super().__init__()
        self.body, self.shortcut = body, shortcut

    def forward(self, x):
        return self.body(x) + self.shortcut(x)


class Bias(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(size))

    def forward(self, x):
        return x + self.bias.reshape(-1, *[1] * (x.dim() - 2))


class Gain(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(size))

    def forward(self, x):
        gain = self.scale
        return x * (gain if gain.numel() == 1 else gain.reshape(-1, *[1] * (x.dim() - 2)))


def pair(value, default=None):
    value = default if value is None else value
    return tuple(value) if isinstance(value, list) else (value, value)


def settings(layer):
    return {"kind": layer} if isinstance(layer, str) else layer


def size_of(window, size):
    kernel, stride, (top, left) = window
    return tuple((s + 2 * p - k) // d + 1 for s, p, k, d in zip(size, (top, left), kernel, stride))


def build(layer, shape, outputs):
    """The module of one layer for inputs of this shape, and the shape that comes out."""
    layer = settings(layer)
    kind = layer["kind"]
    if kind == "flatten":
        total = 1
        for size in shape:
            total *= size
        return nn.Flatten(), (total,)
    if kind == "dense":
        width = layer.get("width", outputs)
        return nn.Linear(shape[0], width, bias=layer.get("bias", False)), (width,)
    if kind == "conv2d":
        kernel, stride = pair(layer["kernel"]), pair(layer.get("stride"), 1)
        same = layer.get("padding") == "same"
        padding = tuple((k - 1) // 2 for k in kernel) if same else pair(layer.get("padding"), 0)
        conv = nn.Conv2d(
            shape[0], layer["channels"], kernel, stride, padding, groups=layer.get("groups", 1), bias=layer.get("bias", False)
        )
        return conv, (layer["channels"], *size_of((kernel, stride, padding), shape[1:]))
    if kind in ("max-pool", "avg-pool"):
        kernel = pair(layer["size"])
        stride, padding = pair(layer.get("stride"), list(kernel)), pair(layer.get("padding"), 0)
        pool = nn.MaxPool2d if kind == "max-pool" else nn.AvgPool2d
        return pool(kernel, stride, padding), (shape[0], *size_of((kernel, stride, padding), shape[1:]))
    if kind == "residual":
        body, after = chain(layer["body"], shape, shape[0])
        shortcut, _ = chain(layer.get("shortcut", []), shape, shape[0])
        return Residual(body, shortcut), after
    if kind == "bias":
        return Bias(shape[0]), shape
    if kind == "scale":
        return Gain(1 if layer.get("per") == "layer" else shape[0]), shape
    if kind == "leaky-relu":
        return nn.LeakyReLU(layer.get("slope", 0.01)), shape
    return ACTIVATIONS[kind](), shape


def chain(layers, shape, outputs):
    modules = []
    for layer in layers:
        built, shape = build(layer, shape, outputs)
        modules.append(built)
    return nn.Sequential(*modules), shape


def conv(channels, kernel, bias, stride=1, padding="same"):
    return {"kind": "conv2d", "channels": channels, "kernel": kernel, "stride": stride, "padding": padding, "bias": bias}


POOL = {"kind": "max-pool", "size": 2}


def layers_of(model, shape):
    """The list of layers that a model's settings stand for."""
    model = settings(model)
    kind = model["kind"]
    default = {"mlp": "none", "cnn": "none", "resnet": "all"}.get(kind, "first")
    bias = model.get("bias", default)
    has = lambda k: bias == "all" or (bias == "first" and k == 0)
    act = model.get("activation", "relu")
    dense = lambda bias, width=None: {"kind": "dense", "bias": bias} | ({"width": width} if width else {})
    if kind == "network":
        return model["layers"]
    if kind == "linear":
        return [dense(False)] if len(shape) == 1 else ["flatten", dense(False)]
    if kind == "mlp":
        layers = []
        for k, width in enumerate(model["widths"]):
            layers += [dense(has(k), width), act]
        return layers + [dense(has(len(model["widths"])))]
    if kind == "lyu-li-cnn":
        one, two = model.get("channels", [32, 64])
        return [
            conv(one, 5, has(0)), "relu", POOL, conv(two, 3, has(1)), "relu", POOL,
            "flatten", dense(has(2), model.get("width", 1024)), "relu", dense(has(3)),
        ]  # fmt: skip
    if kind == "vgg":
        layers, k = [], 0
        for stage in model.get("stages", [[64] * 2, [128] * 2, [256] * 3, [512] * 3, [512] * 3]):
            for channels in stage:
                layers += [conv(channels, 3, has(k)), "relu"]
                k += 1
            layers.append(POOL)
        return layers + ["flatten", dense(has(k))]
    if kind == "cnn":
        layers, pool, full = [], model.get("pool", 2), bias == "all"
        for k, channels in enumerate(model["channels"]):
            layers += [conv(channels, model.get("kernel", 3), has(k)), act]
            layers += [{"kind": "max-pool", "size": pool}] if pool > 1 else []
        layers.append("flatten")
        for width in model.get("widths", []):
            layers += [dense(full, width), act]
        return layers + [dense(full)]
    if kind == "resnet":
        stages, full, size = model.get("channels", [8, 16]), bias == "all", list(shape[1:])
        layers = [conv(stages[0], 3, has(0)), act]
        for stage, channels in enumerate(stages):
            for block in range(model.get("blocks", 1)):
                halves = stage > 0 and block == 0
                step = 2 if halves else 1
                body = [conv(channels, 3, full, step, 1), act, conv(channels, 3, full)]
                shortcut = [conv(channels, 1, False, 2, 0)] if halves else []
                layers += [{"kind": "residual", "body": body, "shortcut": shortcut}, act]
                size = [-(-s // 2) for s in size] if halves else size
        return layers + [{"kind": "avg-pool", "size": size}, "flatten", dense(full)]
    raise ValueError(f"no PyTorch module is known for the model {kind}")


def module(model, shape, outputs):
    """The float64 module of a model; a network that begins with a dense layer takes flat inputs."""
    layers = layers_of(model, tuple(shape))
    if settings(layers[0])["kind"] == "dense":
        total = 1
        for size in shape:
            total *= size
        shape = (total,)
    net, _ = chain(layers, tuple(shape), outputs)
    net.input_shape = tuple(shape)
    return net.double()


def evaluate(job):
    from safetensors.torch import load_file, save_file

    net = module(job["model"], job["shape"], job["outputs"])
    net.load_state_dict(load_file(job["weights"]))
    given = load_file(job["inputs"])
    x = given["x"].reshape(-1, *net.input_shape).requires_grad_()
    out = net(x)
    out.backward(given["cot"].reshape(out.shape))
    results = {"out": out.detach(), "dx": x.grad} | {f"grad.{name}": p.grad for name, p in net.named_parameters()}
    save_file({name: value.contiguous() for name, value in results.items()}, job["results"])


def save(job):
    """Saves a fresh network and prints the summed cross-entropy of its saved weights on digits, in float64."""
    from safetensors.torch import save_file

    torch.manual_seed(1)
    net, _ = chain(job["layers"], (64,), 10)
    net = net.to(getattr(torch, job["dtype"]))
    save_file(net.state_dict(), job["save"])
    with gzip.open(job["digits"], "rt") as file:
        rows = torch.tensor([[float(v) for v in line.split(",")] for line in file][: job["train"]], dtype=torch.float64)
    loss = nn.functional.cross_entropy(net.double()(rows[:, :-1] / 16), rows[:, -1].long(), reduction="sum")
    print(json.dumps({"save": job["save"], "loss": loss.item()}))


if __name__ == "__main__":
    with open(sys.argv[1]) as file:
        for job in json.load(file):
            save(job) if "save" in job else evaluate(job)
