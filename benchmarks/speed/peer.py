"""The same networks and updates in PyTorch, for a ratio within one run. Needs `.[benchmarks]`.

Images lie on the device as uint8 and are gathered and standardised there, as here; activations are
channels-last, on a GPU in bfloat16 by autocast. `as_ours` copies weights over, so that a test of
equal logits shows that both sides compute the same.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from randlabels.models import build
from randlabels.training.setup import Setup

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


class Conv(nn.Conv2d):
    """A SAME or VALID convolution; `exact` pads an even image of stride 2 as XLA does.

    PyTorch pads both sides alike, which costs it nothing, and so it is timed.
    """

    exact = False

    def __init__(
        self, inputs: int, outputs: int, size: int, stride: int = 1, same: bool = True, **more: Any
    ) -> None:
        super().__init__(inputs, outputs, size, stride, size // 2 if same else 0, **more)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the layers to [b, c, h, w], or [b, d]."""
        if self.exact and self.stride[0] == 2 and self.padding[0]:
            return functional.conv2d(functional.pad(x, (0, 1, 0, 1)), self.weight, None, 2)
        return super().forward(x)


def _flatten(x: torch.Tensor) -> torch.Tensor:
    """[b, c, h, w] to [b, h w c]: no copy where channels are last."""
    return x.permute(0, 2, 3, 1).flatten(1)


class Plain(nn.Module):
    """mlp, simple_cnn, conv_net and vgg16: layers in turn, named as here."""

    def __init__(self, config: Any, shape: tuple[int, ...]) -> None:
        super().__init__()
        model = config.model
        self.pools = _stages(model)
        side, channels = shape[0], shape[-1]
        number, same = 0, model.name != "simple_cnn"
        for stage in self.pools:
            for outputs in stage:
                number += 1
                size = model.kernel_size if model.name == "simple_cnn" else 3
                setattr(self, f"conv{number}", Conv(channels, outputs, size, same=same))
                channels, side = outputs, side if same else side - size + 1
            side = side // 2 if same else side
        units = channels * side * side if self.pools else channels
        self.dense = 0 if model.name == "vgg16" else len(model.widths)
        for i in range(self.dense):
            setattr(self, f"dense{i + 1}", nn.Linear(units, model.widths[i]))
            units = model.widths[i]
        self.head = nn.Linear(units, config.labels.num_classes)
        self.pooled = same

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the layers to [b, c, h, w], or [b, d]."""
        number = 0
        for stage in self.pools:
            for _ in stage:
                number += 1
                x = functional.relu(getattr(self, f"conv{number}")(x))
            if self.pooled:
                x = functional.max_pool2d(x, 2)
        x = _flatten(x) if self.pools else x
        for i in range(self.dense):
            x = functional.relu(getattr(self, f"dense{i + 1}")(x))
        return self.head(x)


def _stages(model: Any) -> list[list[int]]:
    """Channels of the convolutions between poolings."""
    if model.name == "mlp":
        return []
    if model.name == "simple_cnn":
        return [[model.filters]]
    if model.name == "conv_net":
        return [[channels] for channels in model.channels]
    stages = [[64] * 2, [128] * 2, [256] * 3, [512] * 3, [512] * 3]
    return [[max(1, round(c * model.width)) for c in stage] for stage in stages]


class Block(nn.Module):
    """Norm, ReLU, convolution, twice, with a shortcut where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(inputs), nn.BatchNorm2d(outputs)
        self.conv1 = Conv(inputs, outputs, 3, stride, bias=False)
        self.conv2 = Conv(outputs, outputs, 3, bias=False)
        changes = stride != 1 or inputs != outputs
        self.shortcut = Conv(inputs, outputs, 1, stride, bias=False) if changes else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the layers to [b, c, h, w], or [b, d]."""
        y = functional.relu(self.norm1(x))
        if self.shortcut is not None:
            x = self.shortcut(y)
        y = functional.relu(self.norm2(self.conv1(y)))
        return x + self.conv2(y)


class Residual(nn.Module):
    """resnet18 and wide_resnet, pre-activation, named as here."""

    def __init__(self, config: Any, shape: tuple[int, ...]) -> None:
        super().__init__()
        model = config.model
        wide = model.name == "wide_resnet"
        widths = (16, 32, 64) if wide else (64, 128, 256, 512)
        blocks = (model.depth - 4) // 6 if wide else 2
        channels = [max(1, round(c * model.width)) for c in widths]
        inputs = model.filters if wide else channels[0]
        self.conv1 = Conv(shape[-1], inputs, 3, bias=False)
        self.blocks = []
        for group, outputs in enumerate(channels, start=1):
            for block in range(1, blocks + 1):
                name = f"group{group}_block{block}"
                stride = 2 if group > 1 and block == 1 else 1
                setattr(self, name, Block(inputs, outputs, stride))
                self.blocks.append(name)
                inputs = outputs
        self.norm_last = nn.BatchNorm2d(inputs)
        self.head = nn.Linear(inputs, config.labels.num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the layers to [b, c, h, w], or [b, d]."""
        x = self.conv1(x)
        for name in self.blocks:
            x = getattr(self, name)(x)
        return self.head(functional.relu(self.norm_last(x)).mean((2, 3)))


def network(setup: Setup) -> nn.Module:
    """The network of a setup with the weights of its first network."""
    config, shape = setup.config, setup.task.images.shape[1:]
    kind = Residual if config.model.name in ("resnet18", "wide_resnet") else Plain
    built = kind(config, shape)
    _copy(built, {name: _first(tree) for name, tree in setup.state["params"].items()})
    return built.to(DEVICE, memory_format=torch.channels_last)


def _first(tree: Any) -> Any:
    return {k: _first(v) for k, v in tree.items()} if isinstance(tree, dict) else tree[0]


def _copy(module: nn.Module, tree: dict[str, Any]) -> None:
    """Copy flax's parameters of a layer, or of the layers below; every one of both sides."""
    if "kernel" in tree or "scale" in tree:
        own = dict(module.named_parameters(recurse=False))
        weight = np.asarray(tree.get("kernel", tree.get("scale")))
        order = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}[weight.ndim]
        arrays = {"weight": weight.transpose(order)} | {k: tree[k] for k in tree if k == "bias"}
        if own.keys() != arrays.keys():
            raise RuntimeError(f"{own.keys()} here, {arrays.keys()} there.")
        with torch.no_grad():
            for name, array in arrays.items():
                own[name].copy_(torch.tensor(np.ascontiguousarray(array)))
        return
    children = dict(module.named_children())
    if children.keys() != tree.keys():
        raise RuntimeError(f"{sorted(children)} here, {sorted(tree)} there.")
    for name, child in children.items():
        _copy(child, tree[name])


def check_same(setup: Setup, built: nn.Module) -> float:
    """The largest difference of logits in training, in units of their standard deviation.

    Raises:
        RuntimeError: if the networks do not compute the same.
    """
    images = setup.task.sample(16)
    variables = _first({k: setup.state[k] for k in ("params", "batch_stats")})
    ours = build(setup.config).apply(variables, images, train=True, mutable=["batch_stats"])[0]
    x = torch.tensor(np.array(images)).to(DEVICE)
    Conv.exact = True
    with torch.no_grad():
        theirs = built(_channels_first(x)).float().cpu().numpy()
    Conv.exact = False
    difference = float(np.max(np.abs(np.asarray(ours) - theirs)) / np.std(theirs))
    if difference > (1e-3 if DEVICE == "cpu" else 0.1):
        raise RuntimeError(f"PyTorch's logits differ by {difference} standard deviations.")
    return difference


def _channels_first(x: torch.Tensor) -> torch.Tensor:
    """[b, h, w, c] as [b, c, h, w] that lies channels-last; vectors are left."""
    return x.permute(0, 3, 1, 2) if x.ndim == 4 else x


def trainer(setup: Setup, built: nn.Module, compiled: bool) -> Callable[[], None]:
    """An epoch of one network: a function without arguments, done when it returns."""
    config, task = setup.config, setup.task
    row = setup.table[0]
    images = torch.tensor(task.images).to(DEVICE)
    labels = torch.tensor(task.labels[0]).long().to(DEVICE)
    mean, std = (torch.tensor(np.asarray(x, np.float32)).to(DEVICE) for x in (task.mean, task.std))
    optimizer = torch.optim.SGD(built.parameters(), lr=row.learning_rate, momentum=row.momentum)
    scale = 1 / 255 if images.dtype == torch.uint8 else 1.0
    batch, steps = config.train.batch_size, setup.steps_per_epoch

    def loss_of(indices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = _channels_first((images[indices].float() * scale - mean) / std)
        with torch.autocast("cuda", torch.bfloat16, enabled=DEVICE == "cuda"):
            logits = built(x)
        target = labels[indices]
        loss = functional.cross_entropy(logits.float(), target)
        return loss, (logits.argmax(1) == target).float().mean()

    forward = torch.compile(loss_of) if compiled else loss_of

    def epoch() -> None:
        order = torch.randperm(steps * batch, device=DEVICE).reshape(steps, batch)
        sums = torch.zeros(2, device=DEVICE)
        for indices in order:
            optimizer.zero_grad(set_to_none=True)
            loss, accuracy = forward(indices)
            loss.backward()
            optimizer.step()
            sums += torch.stack([loss.detach(), accuracy])
        sums.cpu()

    return epoch
