"""Tell what a module or an autograd node does to a gradient, from its type."""

from __future__ import annotations

import functools
import re
from typing import Any

from torch import nn

from gradcheck_cli.records import Role

# Largest derivative of each activation; None where it is unbounded or the activation normalises (softmax).
BEST_GAIN: dict[str, float | None] = {
    "relu": 1.0,
    "leaky_relu": 1.0,
    "rrelu": 1.0,
    "prelu": None,
    "elu": 1.0,
    "selu": 1.7581,
    "celu": 1.0,
    "gelu": 1.1289,
    "silu": 1.0998,
    "mish": 1.0890,
    "softplus": 1.0,
    "sigmoid": 0.25,
    "hardsigmoid": 1 / 6,
    "log_sigmoid": 1.0,
    "tanh": 1.0,
    "hardtanh": 1.0,
    "relu6": 1.0,
    "hardswish": 1.5,
    "softsign": 1.0,
    "erf": 1.1284,
    "softmax": None,
    "log_softmax": None,
    "glu": None,
    "threshold": 1.0,
}

_NODE_KINDS = {  # autograd node name without "Backward0" → activation
    "relu": "relu",
    "leakyrelu": "leaky_relu",
    "rrelu": "rrelu",
    "rreluwithnoise": "rrelu",
    "prelukernel": "prelu",
    "elu": "elu",  # also selu: told apart by the node's saved scale
    "celu": "celu",
    "gelu": "gelu",
    "silu": "silu",
    "mish": "mish",
    "softplus": "softplus",
    "sigmoid": "sigmoid",
    "hardsigmoid": "hardsigmoid",
    "logsigmoid": "log_sigmoid",
    "tanh": "tanh",
    "hardtanh": "hardtanh",
    "hardswish": "hardswish",
    "erf": "erf",
    "softmax": "softmax",
    "logsoftmax": "log_softmax",
    "glu": "glu",
    "threshold": "threshold",
}
_SHAPE_NODES = {
    "view", "unsafeview", "reshapealias", "t", "transpose", "permute", "expand", "squeeze", "unsqueeze", "select", "slice",
    "clone", "tocopy", "unbind", "split", "splitwithsizes", "unsafesplit", "chunk", "cat", "stack", "index", "gather",
    "indexselect", "alias", "narrow", "asstrided", "movedim", "flatten", "unfold", "repeat", "roll", "flip", "constantpadnd",
    "reflectionpad2d", "detach",
    "mean", "avgpool2d", "avgpool1d", "avgpool3d", "adaptiveavgpool2d", "mkldnnadaptiveavgpool2d", "maxpool2dwithindices",
    "maxpool3dwithindices", "adaptivemaxpool2d", "upsamplenearest2d", "upsamplebilinear2d", "upsamplenearest1d", "pixelshuffle",
    "nativedropout", "copyslices", "asstridedscatter", "swapaxes", "sum", "maskedfill", "where", "triu", "tril", "amax", "max",
}  # fmt: skip
# Moving values about without arithmetic: what a linear layer's input may pass and still be the same input.
PASS_NODES = {
    "view", "unsafeview", "reshapealias", "t", "transpose", "permute", "expand", "squeeze", "unsqueeze", "clone", "alias",
    "tocopy",
}  # fmt: skip
VIEW_NODES = (PASS_NODES - {"clone", "tocopy"}) | {"select", "slice", "narrow", "asstrided", "unbind", "split", "unfold"}
LOSS_NODES = {
    "nllloss", "nllloss2d", "nlllossnd", "logsoftmax", "mseloss", "smoothl1loss", "huberloss", "l1loss", "binarycrossentropy",
    "binarycrossentropywithlogits", "ctcloss", "kldiv", "softmarginloss", "crossentropyloss", "poissonnllloss",
    "cosineembeddingloss",
}  # fmt: skip

_LINEAR = (nn.Linear, nn.Bilinear, nn.modules.conv._ConvNd, nn.LazyLinear)
_NORM = (
    nn.modules.batchnorm._NormBase,
    nn.LayerNorm,
    nn.GroupNorm,
    nn.LocalResponseNorm,
)
_SHAPE = (
    nn.Flatten, nn.Unflatten, nn.Identity, nn.modules.pooling._MaxPoolNd, nn.modules.pooling._AvgPoolNd,
    nn.modules.pooling._AdaptiveAvgPoolNd, nn.modules.pooling._AdaptiveMaxPoolNd, nn.modules.dropout._DropoutNd, nn.Upsample,
    nn.PixelShuffle, nn.PixelUnshuffle, nn.ChannelShuffle, nn.Fold, nn.Unfold,
    nn.modules.padding._ConstantPadNd, nn.modules.padding._ReflectionPadNd, nn.modules.padding._ReplicationPadNd,
)  # fmt: skip
_ACTIVATION_KINDS: dict[type[nn.Module], str] = {
    nn.ReLU: "relu", nn.LeakyReLU: "leaky_relu", nn.RReLU: "rrelu", nn.PReLU: "prelu", nn.ELU: "elu", nn.SELU: "selu",
    nn.CELU: "celu", nn.GELU: "gelu", nn.SiLU: "silu", nn.Mish: "mish", nn.Softplus: "softplus", nn.Sigmoid: "sigmoid",
    nn.Hardsigmoid: "hardsigmoid", nn.LogSigmoid: "log_sigmoid", nn.Tanh: "tanh", nn.Hardtanh: "hardtanh",
    nn.ReLU6: "relu6", nn.Hardswish: "hardswish",
    nn.Softsign: "softsign", nn.Softmax: "softmax", nn.Softmax2d: "softmax", nn.LogSoftmax: "log_softmax", nn.GLU: "glu",
    nn.Threshold: "threshold",
}  # fmt: skip


def activation_of(module: nn.Module) -> str | None:
    """The activation's function name if the module is one, by exact type (a subclass may compute anything)."""
    if type(module) is nn.Hardtanh and module.min_val == 0:
        return "relu6"  # a relu with a ceiling, whatever its height
    return _ACTIVATION_KINDS.get(type(module))


@functools.cache
def _known_role(kind: type[Any]) -> Role | None:
    if kind in _ACTIVATION_KINDS:
        return "activation"
    roles: tuple[tuple[Role, Any], ...] = (
        ("recurrent", (nn.RNNBase, nn.RNNCellBase)),
        ("linear", _LINEAR),
        ("embedding", (nn.Embedding, nn.EmbeddingBag)),
        ("norm", _NORM),
        ("attention", nn.MultiheadAttention),
        ("shape", _SHAPE),
    )
    return next((role for role, kinds in roles if issubclass(kind, kinds)), None)


def role_of(module: nn.Module) -> Role:
    """What the module does to a gradient; by type, and for unknown types by name as a last resort."""
    known = _known_role(type(module))  # type: ignore[arg-type]  # stubs make types of modules unhashable
    if known is not None:
        return known
    name = type(module).__name__.lower()
    own = any(p.ndim > 1 for p in module.parameters(recurse=False))
    if any(True for _ in module.children()) and not (name == "conv1d" and own):  # a trial may put a norm behind a Conv1D
        return "container"
    if re.search(r"norm\d*d?$", name):
        return "norm"
    if re.search(r"(^|\d)conv1d$|linear$", name) and own:
        return "linear"
    return "other"


def node_name(node: object) -> str:
    """The autograd node's operation, lower-case: AddmmBackward0 → addmm."""
    return _operation(node.name())  # type: ignore[attr-defined]


@functools.lru_cache(maxsize=1024)
def _operation(name: str) -> str:
    name = re.sub(r"Backward\w*$", "", name.rsplit("::", 1)[-1])
    return name.lower().removeprefix("safe")


def activation_node(node: object) -> str | None:
    """The activation's function name if the autograd node is one."""
    name = node_name(node)
    if name in ("clamp", "clampmin"):  # clamp(min=0) is the user's relu; other bounds are no activation
        low, high = limits_of(node) or (None, None)
        return None if low != 0 else "relu" if high is None else "relu6"
    kind = _NODE_KINDS.get(name)
    if kind == "elu" and getattr(node, "_saved_scale", 1.0) != 1.0:
        kind = "selu"
    elif kind == "hardtanh" and getattr(node, "_saved_min_val", -1) == 0:
        kind = "relu6"
    return kind


def limits_of(node: object) -> tuple[float | None, float | None] | None:
    """The lower and upper bound that a node of clamp or hardtanh keeps to; None for others, and for bounds that are tensors."""
    low = getattr(node, "_saved_min_val", getattr(node, "_saved_min", None))
    high = getattr(node, "_saved_max_val", getattr(node, "_saved_max", None))
    if (low is None and high is None) or not all(x is None or isinstance(x, int | float) for x in (low, high)):
        return None
    return low, high


def role_of_node(node: object) -> Role:
    if activation_node(node) is not None:
        return "activation"
    name = node_name(node)
    if name in _SHAPE_NODES:
        return "shape"
    if name in {"addmm", "mm", "bmm", "baddbmm", "linear", "addmv", "mv", "einsum"} or "convolution" in name:
        return "linear"
    if "norm" in name:
        return "norm"
    if "attention" in name:
        return "attention"
    if "embedding" in name:
        return "embedding"
    return "other"
