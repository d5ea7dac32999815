"""Healthy convolutional classics without residual branches."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.batches import images, masks
from zoo.cases import CLASSIFY, Case, healthy


class LeNet(nn.Module):
    """LeNet-5 with functional activations, as tutorials write it."""

    def __init__(self, activation=torch.relu):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = nn.Linear(16 * 5 * 5, 120), nn.Linear(120, 84), nn.Linear(84, 10)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(self.activation(self.conv1(x)), 2)
        x = F.max_pool2d(self.activation(self.conv2(x)), 2)
        x = self.activation(self.fc1(x.flatten(1)))
        return self.fc3(self.activation(self.fc2(x)))


def alexnet(width: int = 32) -> nn.Module:
    """AlexNet's eight layers for 32-pixel images, PyTorch's default initialisation, dropout in the classifier."""
    w = width
    return nn.Sequential(
        nn.Conv2d(3, w, 3, 1, 1), nn.ReLU(inplace=True), nn.MaxPool2d(2),
        nn.Conv2d(w, 2 * w, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2),
        nn.Conv2d(2 * w, 3 * w, 3, padding=1), nn.ReLU(inplace=True),
        nn.Conv2d(3 * w, 2 * w, 3, padding=1), nn.ReLU(inplace=True),
        nn.Conv2d(2 * w, 2 * w, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Flatten(),
        nn.Dropout(), nn.Linear(2 * w * 16, 256), nn.ReLU(inplace=True),
        nn.Dropout(), nn.Linear(256, 256), nn.ReLU(inplace=True), nn.Linear(256, 10),
    )  # fmt: skip


VGG_LAYOUTS = {
    11: (1, 0, 2, 0, 4, 4, 0, 8, 8, 0, 8, 8, 0),
    16: (1, 1, 0, 2, 2, 0, 4, 4, 4, 0, 8, 8, 8, 0, 8, 8, 8, 0),
}


def vgg(depth: int, *, norm: bool, published_init: bool = True, width: int = 16) -> nn.Module:
    """VGG at an eighth of its width; its published re-implementations use He (fan out) convolutions."""
    layers: list[nn.Module] = []
    channels = 3
    for factor in VGG_LAYOUTS[depth]:
        if factor == 0:
            layers.append(nn.MaxPool2d(2))
            continue
        layers.append(nn.Conv2d(channels, factor * width, 3, padding=1))
        layers += [nn.BatchNorm2d(factor * width)] if norm else []
        layers.append(nn.ReLU(inplace=True))
        channels = factor * width
    head = [nn.Linear(channels, 256), nn.ReLU(True), nn.Dropout(), nn.Linear(256, 256), nn.ReLU(True), nn.Dropout()]
    net = nn.Sequential(nn.Sequential(*layers), nn.Flatten(), nn.Sequential(*head, nn.Linear(256, 10)))
    for module in net.modules() if published_init else ():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.64 * module.in_features**-0.5)  # published: 0.01 at a fan-in of 4096
            nn.init.zeros_(module.bias)
    return net


def conv_bn(cin: int, cout: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution, BatchNorm, ReLU; the convolution keeps its bias, which BatchNorm cancels."""
    conv = nn.Conv2d(cin, cout, kernel, stride, kernel // 2, groups=groups)
    return nn.Sequential(conv, nn.BatchNorm2d(cout, eps=0.001), nn.ReLU(inplace=True))


class InceptionBlock(nn.Module):
    """Four branches: 1×1, 3×3, 5×5 and pooling, joined by channels."""

    def __init__(self, cin: int, c1: int, c3: tuple[int, int], c5: tuple[int, int], pool: int):
        super().__init__()
        self.branch1 = conv_bn(cin, c1, 1)
        self.branch2 = nn.Sequential(conv_bn(cin, c3[0], 1), conv_bn(c3[0], c3[1], 3))
        self.branch3 = nn.Sequential(conv_bn(cin, c5[0], 1), conv_bn(c5[0], c5[1], 5))
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, 1, 1), conv_bn(cin, pool, 1))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class GoogLeNet(nn.Module):
    """Inception blocks with an auxiliary classifier whose output this loss ignores (an idle head)."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(conv_bn(3, 32, 3), nn.MaxPool2d(2))
        self.block1 = InceptionBlock(32, 16, (16, 24), (4, 8), 8)
        self.block2 = InceptionBlock(56, 24, (24, 40), (8, 16), 16)
        self.block3 = InceptionBlock(96, 32, (32, 48), (8, 16), 16)
        self.aux = nn.Linear(96, 10)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(112, 10))

    def forward(self, x: Tensor) -> Tensor:
        x = self.block2(self.block1(self.stem(x)))
        self.auxiliary = self.aux(x.mean((2, 3)))
        return self.head(self.block3(F.max_pool2d(x, 2)))


class Fire(nn.Module):
    """SqueezeNet's squeeze and expand."""

    def __init__(self, cin: int, squeeze: int, expand: int):
        super().__init__()
        self.squeeze = nn.Conv2d(cin, squeeze, 1)
        self.expand1, self.expand3 = nn.Conv2d(squeeze, expand, 1), nn.Conv2d(squeeze, expand, 3, padding=1)
        for conv in (self.squeeze, self.expand1, self.expand3):
            nn.init.kaiming_uniform_(conv.weight)
            nn.init.zeros_(conv.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.squeeze(x), inplace=True)
        return torch.cat([F.relu(self.expand1(x)), F.relu(self.expand3(x))], 1)


def squeezenet() -> nn.Module:
    """SqueezeNet 1.1 in small, with its He-uniform initialisation and its head of standard deviation 0.01."""
    head = nn.Conv2d(128, 10, 1)
    nn.init.normal_(head.weight, std=0.01)
    nn.init.zeros_(head.bias)
    stem = nn.Conv2d(3, 32, 3, padding=1)
    nn.init.kaiming_uniform_(stem.weight)
    return nn.Sequential(
        stem, nn.ReLU(inplace=True), nn.MaxPool2d(2), Fire(32, 8, 32), Fire(64, 8, 32), nn.MaxPool2d(2),
        Fire(64, 16, 64), Fire(128, 16, 64), nn.Dropout(), head, nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    )  # fmt: skip


class DenseBlock(nn.Module):
    """DenseNet-BC block: every layer reads all earlier outputs."""

    def __init__(self, cin: int, layers: int, growth: int):
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.BatchNorm2d(cin + i * growth), nn.ReLU(), nn.Conv2d(cin + i * growth, 4 * growth, 1, bias=False),
                nn.BatchNorm2d(4 * growth), nn.ReLU(), nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False),
            )
            for i in range(layers)
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.cat([x, layer(x)], 1)
        return x


def densenet(growth: int = 8) -> nn.Module:
    """Three dense blocks of four layers with halving transitions."""
    layers: list[nn.Module] = [nn.Conv2d(3, 16, 3, padding=1, bias=False)]
    channels = 16
    for stage in range(3):
        layers.append(DenseBlock(channels, 4, growth))
        channels += 4 * growth
        if stage < 2:
            layers += [nn.BatchNorm2d(channels), nn.ReLU(), nn.Conv2d(channels, channels // 2, 1), nn.AvgPool2d(2)]
            channels //= 2
    head = [nn.BatchNorm2d(channels), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10)]
    net = nn.Sequential(*layers, *head)
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
    return net


class FCN(nn.Module):
    """Fully convolutional segmentation with skips from two scales, upsampled by transposed convolutions."""

    def __init__(self, classes: int = 4):
        super().__init__()
        self.stage1 = nn.Sequential(conv_bn(3, 16, 3), conv_bn(16, 16, 3), nn.MaxPool2d(2))
        self.stage2 = nn.Sequential(conv_bn(16, 32, 3), conv_bn(32, 32, 3), nn.MaxPool2d(2))
        self.stage3 = nn.Sequential(conv_bn(32, 64, 3), conv_bn(64, 64, 3), nn.MaxPool2d(2))
        self.score1, self.score2, self.score3 = (nn.Conv2d(c, classes, 1) for c in (16, 32, 64))
        self.up2, self.up1 = (nn.ConvTranspose2d(classes, classes, 2, 2) for _ in range(2))
        self.up0 = nn.ConvTranspose2d(classes, classes, 2, 2)

    def forward(self, x: Tensor) -> Tensor:
        s1 = self.stage1(x)
        s2 = self.stage2(s1)
        y = self.up2(self.score3(self.stage3(s2))) + self.score2(s2)
        return self.up0(self.up1(y) + self.score1(s1))


def plain_cnn(norm: str = "none") -> nn.Module:
    """The small CNN of every tutorial: three convolutions and two linear layers, default initialisation."""

    def normalise(channels: int) -> list[nn.Module]:
        made = {"batch": nn.BatchNorm2d(channels), "group": nn.GroupNorm(4, channels)}
        made["instance"] = nn.InstanceNorm2d(channels, affine=True)
        return [made[norm]] if norm in made else []

    layers: list[nn.Module] = []
    for cin, cout in ((3, 16), (16, 32), (32, 64)):
        layers += [nn.Conv2d(cin, cout, 3, padding=1), *normalise(cout), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * 16, 64), nn.ReLU(), nn.Linear(64, 10))


def network_in_network() -> nn.Module:
    """Three stages of a spatial and two 1×1 convolutions, each followed by BatchNorm; global average pooling as head."""
    layers: list[nn.Module] = []
    for cin, cout, kernel in ((3, 32, 5), (32, 48, 5), (48, 48, 3)):
        layers += [conv_bn(cin, cout, kernel), conv_bn(cout, cout, 1), conv_bn(cout, cout, 1), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Conv2d(48, 10, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())


_GREY = images(channels=1, size=28)
_COLOUR = images()
CASES: tuple[Case, ...] = (
    healthy("lenet-relu", "convnet", LeNet, _GREY, CLASSIFY),
    healthy("lenet-tanh", "convnet", lambda: LeNet(torch.tanh), _GREY, CLASSIFY),
    healthy("alexnet", "convnet", alexnet, images(32), CLASSIFY, mechanism="6"),
    healthy("vgg-11-he", "convnet", lambda: vgg(11, norm=False), _COLOUR, CLASSIFY),
    healthy("vgg-11-bn", "convnet", lambda: vgg(11, norm=True), _COLOUR, CLASSIFY, mechanism="3"),
    healthy("vgg-16-he", "convnet", lambda: vgg(16, norm=False), _COLOUR, CLASSIFY),
    healthy("vgg-16-bn", "convnet", lambda: vgg(16, norm=True), _COLOUR, CLASSIFY, mechanism="3,9"),
    healthy("googlenet", "convnet", GoogLeNet, _COLOUR, CLASSIFY, mechanism="3,5"),
    healthy("squeezenet", "convnet", squeezenet, _COLOUR, CLASSIFY),
    healthy("densenet", "convnet", densenet, _COLOUR, CLASSIFY, mechanism="9"),
    healthy("fcn", "convnet", FCN, masks(), CLASSIFY, mechanism="3"),
    healthy("cnn-plain", "convnet", plain_cnn, images(32), CLASSIFY),
    healthy("cnn-batchnorm", "convnet", lambda: plain_cnn("batch"), images(32), CLASSIFY, mechanism="3"),
    healthy("cnn-groupnorm", "convnet", lambda: plain_cnn("group"), images(32), CLASSIFY),
    healthy("cnn-instancenorm", "convnet", lambda: plain_cnn("instance"), images(32), CLASSIFY, mechanism="3"),
    healthy("network-in-network", "convnet", network_in_network, _COLOUR, CLASSIFY, mechanism="3,9"),
)
