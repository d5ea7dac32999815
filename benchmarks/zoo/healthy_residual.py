"""Healthy residual networks: post- and pre-activation, wide, grouped, gated, and those without any norm."""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.batches import images
from zoo.cases import CLASSIFY, Case, healthy


class BasicBlock(nn.Module):
    """Two 3×3 convolutions with BatchNorm and an addition, in the order of the 2015 paper."""

    def __init__(self, cin: int, cout: int, stride: int = 1, zero_gamma: bool = False):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(cin, cout, 3, stride, 1, bias=False), nn.BatchNorm2d(cout)
        self.conv2, self.bn2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False), nn.BatchNorm2d(cout)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut = nn.Sequential()
        if stride != 1 or cin != cout:
            self.shortcut = nn.Sequential(nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout))
        if zero_gamma:
            nn.init.zeros_(self.bn2.weight)

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        y += self.shortcut(x)
        return self.relu(y)


class Bottleneck(nn.Module):
    """1×1, 3×3 (grouped for ResNeXt), 1×1, with an optional squeeze-and-excitation gate."""

    def __init__(self, cin: int, cout: int, stride: int = 1, groups: int = 1, gate: bool = False, zero: bool = False):
        super().__init__()
        mid = cout // 2
        self.body = nn.Sequential(
            nn.Conv2d(cin, mid, 1, bias=False), nn.BatchNorm2d(mid), nn.ReLU(),
            nn.Conv2d(mid, mid, 3, stride, 1, groups=groups, bias=False), nn.BatchNorm2d(mid), nn.ReLU(),
            nn.Conv2d(mid, cout, 1, bias=False), nn.BatchNorm2d(cout),
        )  # fmt: skip
        self.gate = nn.Sequential(nn.Linear(cout, 8), nn.ReLU(), nn.Linear(8, cout), nn.Sigmoid()) if gate else None
        self.shortcut = nn.Sequential(nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout))
        if zero:
            nn.init.zeros_(self.body[-1].weight)

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x)
        if self.gate is not None:
            y = y * self.gate(y.mean((2, 3)))[:, :, None, None]
        return F.relu(y + self.shortcut(x))


class PreActBlock(nn.Module):
    """BatchNorm and ReLU before each convolution, identity shortcut; `survival` < 1 drops the branch at random."""

    def __init__(self, cin: int, cout: int, stride: int = 1, dropout: float = 0.0, survival: float = 1.0):
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(cin), nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.bn2, self.conv2 = nn.BatchNorm2d(cout), nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.project = nn.Conv2d(cin, cout, 1, stride, bias=False) if stride != 1 or cin != cout else None
        self.dropout, self.survival = nn.Dropout(dropout), survival

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.bn1(x))
        shortcut = self.project(h) if self.project is not None else x
        y = self.conv2(self.dropout(F.relu(self.bn2(self.conv1(h)))))
        if self.training and self.survival < 1:
            keep = torch.rand(len(x), 1, 1, 1) < self.survival  # one draw a sample, as timm's DropPath does
            y = y * keep / self.survival
        return shortcut + y


class FixupBlock(nn.Module):
    """Residual block without norm: scalar biases and a multiplier, second convolution zero (Zhang 2019)."""

    def __init__(self, cin: int, cout: int, stride: int = 1, blocks: int = 8):
        super().__init__()
        self.conv1, self.conv2 = (
            nn.Conv2d(cin, cout, 3, stride, 1, bias=False),
            nn.Conv2d(cout, cout, 3, 1, 1, bias=False),
        )
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(1)) for _ in range(4))
        self.scale = nn.Parameter(torch.ones(1))
        self.project = nn.Conv2d(cin, cout, 1, stride, bias=False) if stride != 1 or cin != cout else nn.Identity()
        nn.init.kaiming_normal_(self.conv1.weight)
        self.conv1.weight.data.mul_(blocks**-0.5)
        nn.init.zeros_(self.conv2.weight)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.conv1(x + self.biases[0]) + self.biases[1])
        y = self.conv2(y + self.biases[2]) * self.scale + self.biases[3]
        return F.relu(y + self.project(x))


class ReZeroBlock(nn.Module):
    """Branch times a scalar that starts at zero (Bachlechner 2020, SkipInit)."""

    def __init__(self, cin: int, cout: int, stride: int = 1):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(cin, cout, 3, stride, 1), nn.Conv2d(cout, cout, 3, 1, 1)
        self.alpha = nn.Parameter(torch.zeros(()))
        self.project = nn.Conv2d(cin, cout, 1, stride) if stride != 1 or cin != cout else nn.Identity()
        for conv in (self.conv1, self.conv2):
            nn.init.kaiming_normal_(conv.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.project(x) + self.alpha * self.conv2(F.relu(self.conv1(F.relu(x))))


class RepVGGBlock(nn.Module):
    """Parallel 3×3, 1×1 and identity branches, each with its own BatchNorm, summed before the ReLU."""

    def __init__(self, cin: int, cout: int, stride: int = 1):
        super().__init__()
        self.dense = nn.Sequential(nn.Conv2d(cin, cout, 3, stride, 1, bias=False), nn.BatchNorm2d(cout))
        self.point = nn.Sequential(nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout))
        self.identity = nn.BatchNorm2d(cin) if cin == cout and stride == 1 else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.dense(x) + self.point(x)
        return F.relu(y + self.identity(x)) if self.identity is not None else F.relu(y)


class GroupNormBlock(nn.Module):
    """Basic block with GroupNorm, and SiLU instead of ReLU."""

    def __init__(self, cin: int, cout: int, stride: int = 1):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(cin, cout, 3, stride, 1), nn.GroupNorm(4, cout)
        self.conv2, self.norm2 = nn.Conv2d(cout, cout, 3, 1, 1), nn.GroupNorm(4, cout)
        self.project = nn.Conv2d(cin, cout, 1, stride) if stride != 1 or cin != cout else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm2(self.conv2(F.silu(self.norm1(self.conv1(x)))))
        return F.silu(y + self.project(x))


def resnet(block, per_stage: tuple[int, ...] = (2, 2, 2, 2), width: int = 16, zero_head: bool = False) -> nn.Module:
    """Stem, stages that double the width and halve the size, global pooling and a linear head; He (fan out) convolutions."""
    stem = [nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
    layers: list[nn.Module] = []
    channels = width
    for stage, count in enumerate(per_stage):
        for i in range(count):
            out = width * 2**stage
            layers.append(block(channels, out, 2 if i == 0 and stage > 0 else 1))
            channels = out
    head = nn.Linear(channels, 10)
    for module in [*stem, *(m for layer in layers for m in layer.modules())]:
        gated = isinstance(module, nn.Conv2d) and bool(module.weight.any())
        if gated and not any(isinstance(layer, FixupBlock | ReZeroBlock) for layer in layers):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    if zero_head:
        nn.init.zeros_(head.weight)
        nn.init.zeros_(head.bias)
    return nn.Sequential(*stem, nn.Sequential(*layers), nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)


_X = images()
_PART = functools.partial
CASES: tuple[Case, ...] = (
    healthy("resnet-18", "resnet", lambda: resnet(BasicBlock), _X, CLASSIFY),
    healthy("resnet-34", "resnet", lambda: resnet(BasicBlock, (3, 4, 6, 3)), _X, CLASSIFY, mechanism="9"),
    healthy(
        "resnet-18-zero-gamma", "resnet", lambda: resnet(_PART(BasicBlock, zero_gamma=True)), _X, CLASSIFY,
        mechanism="1",
    ),
    healthy("resnet-18-zero-head", "resnet", lambda: resnet(BasicBlock, zero_head=True), _X, CLASSIFY, mechanism="1"),
    healthy("resnet-50", "resnet", lambda: resnet(Bottleneck, (3, 4, 6, 3), 32), images(12), CLASSIFY, mechanism="9"),
    healthy("resnext", "resnet", lambda: resnet(_PART(Bottleneck, groups=4), (2, 2, 2), 32), _X, CLASSIFY),
    healthy(
        "se-resnet-zero-gamma", "resnet", lambda: resnet(_PART(Bottleneck, gate=True, zero=True), (2, 2, 2), 32), _X,
        CLASSIFY, mechanism="1",
    ),
    healthy("se-resnet", "resnet", lambda: resnet(_PART(Bottleneck, gate=True), (2, 2, 2), 32), _X, CLASSIFY),
    healthy("resnet-preact", "resnet", lambda: resnet(PreActBlock), _X, CLASSIFY),
    healthy(
        "wide-resnet", "resnet", lambda: resnet(_PART(PreActBlock, dropout=0.3), (2, 2, 2), 48), images(8), CLASSIFY,
        mechanism="6",
    ),
    healthy(
        "resnet-stochastic-depth", "resnet", lambda: resnet(_PART(PreActBlock, survival=0.7), (3, 3, 3)), images(4),
        CLASSIFY, mechanism="6,7",
    ),
    healthy("resnet-fixup", "resnet", lambda: resnet(FixupBlock, zero_head=True), _X, CLASSIFY, mechanism="1"),
    healthy("resnet-rezero", "resnet", lambda: resnet(ReZeroBlock), _X, CLASSIFY, mechanism="1"),
    healthy("repvgg", "resnet", lambda: resnet(RepVGGBlock), _X, CLASSIFY, mechanism="9"),
    healthy("resnet-groupnorm", "resnet", lambda: resnet(GroupNormBlock), _X, CLASSIFY),
)  # fmt: skip
