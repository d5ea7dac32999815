"""Healthy networks built for small devices, and the modern convolutional ones that grew from them."""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.batches import images
from zoo.cases import CLASSIFY, Case, healthy


def conv_norm(cin: int, cout: int, kernel: int, stride: int = 1, groups: int = 1, act: nn.Module | None = None):
    """Convolution without bias, BatchNorm and, if given, an activation."""
    conv = nn.Conv2d(cin, cout, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(cout), *([act] if act is not None else []))


def depthwise_separable(cin: int, cout: int, stride: int) -> nn.Sequential:
    """MobileNet v1's unit."""
    return nn.Sequential(
        conv_norm(cin, cin, 3, stride, cin, nn.ReLU(inplace=True)), conv_norm(cin, cout, 1, act=nn.ReLU(inplace=True))
    )


class SqueezeExcite(nn.Module):
    """Channel gate from globally pooled features."""

    def __init__(self, channels: int, hidden: int, hard: bool):
        super().__init__()
        self.fc1, self.fc2 = nn.Conv2d(channels, hidden, 1), nn.Conv2d(hidden, channels, 1)
        self.act, self.gate = (nn.ReLU(), nn.Hardsigmoid()) if hard else (nn.SiLU(), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(self.fc2(self.act(self.fc1(F.adaptive_avg_pool2d(x, 1)))))


class InvertedResidual(nn.Module):
    """Expand, depthwise, optional gate, linear bottleneck; a skip where the shapes allow it."""

    def __init__(self, cin: int, cout: int, stride: int, expand: int, act: type[nn.Module], gate: str = ""):
        super().__init__()
        hidden = cin * expand
        layers = [conv_norm(cin, hidden, 1, act=act())] if expand > 1 else []
        layers.append(conv_norm(hidden, hidden, 3, stride, hidden, act()))
        if gate:
            layers.append(SqueezeExcite(hidden, max(4, cin // 4), gate == "hard"))
        layers.append(conv_norm(hidden, cout, 1))
        self.body, self.skip = nn.Sequential(*layers), stride == 1 and cin == cout

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x) if self.skip else self.body(x)


def mobile(act: type[nn.Module], gate: str = "", drop: float = 0.2) -> nn.Module:
    """A small stack of inverted residuals: MobileNet v2 with ReLU6, v3 with Hardswish and gates, EfficientNet with SiLU."""
    plan = ((16, 16, 1, 1), (16, 24, 2, 4), (24, 24, 1, 4), (24, 40, 2, 4), (40, 40, 1, 4), (40, 64, 2, 4), (64, 64, 1, 4))
    blocks = [InvertedResidual(cin, cout, stride, expand, act, gate) for cin, cout, stride, expand in plan]
    net = nn.Sequential(
        conv_norm(3, 16, 3, 1, act=act()), *blocks, conv_norm(64, 160, 1, act=act()),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(drop), nn.Linear(160, 10),
    )  # fmt: skip
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out")
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, 0, 0.01)
            nn.init.zeros_(module.bias)
    return net


def mobilenet_v1() -> nn.Module:
    """Depthwise separable convolutions in a plain chain."""
    plan = ((16, 32, 1), (32, 48, 2), (48, 48, 1), (48, 64, 2), (64, 64, 1), (64, 96, 2), (96, 96, 1))
    blocks = [depthwise_separable(*p) for p in plan]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(96, 10)]
    return nn.Sequential(conv_norm(3, 16, 3, 1, act=nn.ReLU()), *blocks, *head)


class ShuffleUnit(nn.Module):
    """ShuffleNet v2: split, transform one half, join and shuffle the channels."""

    def __init__(self, channels: int):
        super().__init__()
        half = channels // 2
        self.branch = nn.Sequential(
            conv_norm(half, half, 1, act=nn.ReLU()), conv_norm(half, half, 3, 1, half), conv_norm(half, half, 1, act=nn.ReLU())
        )

    def forward(self, x: Tensor) -> Tensor:
        kept, changed = x.chunk(2, 1)
        y = torch.cat([kept, self.branch(changed)], 1)
        n, c, h, w = y.shape
        return y.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


class ShuffleNet(nn.Module):
    """Three stages of shuffle units behind strided convolutions."""

    def __init__(self):
        super().__init__()
        self.stem = conv_norm(3, 24, 3, 1, act=nn.ReLU())
        widths = (24, 48, 64, 96)
        self.stages = nn.ModuleList(
            nn.Sequential(conv_norm(a, b, 3, 2, act=nn.ReLU()), ShuffleUnit(b), ShuffleUnit(b), ShuffleUnit(b))
            for a, b in itertools.pairwise(widths)
        )
        self.fc = nn.Linear(96, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for stage in self.stages:
            x = stage(x)
        return self.fc(x.mean([2, 3]))


class ChannelNorm(nn.LayerNorm):
    """LayerNorm over the channels of [N, C, H, W]."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvNeXtBlock(nn.Module):
    """Depthwise 7×7, LayerNorm, two linear layers and a layer scale on the branch."""

    def __init__(self, dim: int, scale: float):
        super().__init__()
        self.dwconv, self.norm = nn.Conv2d(dim, dim, 7, padding=3, groups=dim), nn.LayerNorm(dim, eps=1e-6)
        self.pwconv1, self.act, self.pwconv2 = nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim)
        self.gamma = nn.Parameter(scale * torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.dwconv(x).permute(0, 2, 3, 1))
        y = self.gamma * self.pwconv2(self.act(self.pwconv1(y)))
        return x + y.permute(0, 3, 1, 2)


def convnext(scale: float = 1e-6) -> nn.Module:
    """Three stages of two blocks, patch stem, truncated-normal weights of standard deviation 0.02."""
    layers: list[nn.Module] = [nn.Conv2d(3, 32, 2, 2), ChannelNorm(32)]
    for dim, out in ((32, 48), (48, 64), (64, 0)):
        layers += [ConvNeXtBlock(dim, scale), ConvNeXtBlock(dim, scale)]
        layers += [ChannelNorm(dim), nn.Conv2d(dim, out, 2, 2)] if out else []
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LayerNorm(64), nn.Linear(64, 10))
    net = nn.Sequential(*layers, head)
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.02)
            nn.init.zeros_(module.bias)
    return net


class MixerConv(nn.Module):
    """ConvMixer's unit: a residual depthwise convolution, then a pointwise one."""

    def __init__(self, dim: int, kernel: int):
        super().__init__()
        self.depthwise = nn.Sequential(nn.Conv2d(dim, dim, kernel, groups=dim, padding="same"), nn.GELU(), nn.BatchNorm2d(dim))
        self.pointwise = nn.Sequential(nn.Conv2d(dim, dim, 1), nn.GELU(), nn.BatchNorm2d(dim))

    def forward(self, x: Tensor) -> Tensor:
        return self.pointwise(x + self.depthwise(x))


def convmixer(dim: int = 48, depth: int = 6) -> nn.Module:
    """Patch stem and a flat stack of ConvMixer units."""
    stem = [nn.Conv2d(3, dim, 4, 4), nn.GELU(), nn.BatchNorm2d(dim)]
    units = [MixerConv(dim, 5) for _ in range(depth)]
    return nn.Sequential(*stem, *units, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(dim, 10))


_X = images()
CASES: tuple[Case, ...] = (
    healthy("mobilenet-v1", "mobile", mobilenet_v1, _X, CLASSIFY, mechanism="9"),
    healthy("mobilenet-v2", "mobile", lambda: mobile(nn.ReLU6), _X, CLASSIFY, mechanism="3"),
    healthy("mobilenet-v3", "mobile", lambda: mobile(nn.Hardswish, "hard"), _X, CLASSIFY, mechanism="3"),
    healthy("efficientnet", "mobile", lambda: mobile(nn.SiLU, "soft"), _X, CLASSIFY, mechanism="3"),
    healthy("shufflenet-v2", "mobile", ShuffleNet, _X, CLASSIFY),
    healthy("convnext", "mobile", convnext, _X, CLASSIFY, mechanism="2"),
    healthy("convnext-scale-1e-4", "mobile", lambda: convnext(1e-4), _X, CLASSIFY, mechanism="2"),
    healthy("convmixer", "mobile", convmixer, _X, CLASSIFY, mechanism="3"),
)
