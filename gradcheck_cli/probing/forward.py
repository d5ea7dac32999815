"""What the forward pass shows of each module call, reduced to numbers while it runs."""

from __future__ import annotations

import math
import weakref
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from gradcheck_cli.probing.calls import Call
from gradcheck_cli.probing.kinds import activation_of, role_of
from gradcheck_cli.probing.statistics import Summary, summarise
from gradcheck_cli.probing.tensors import tensors_in
from gradcheck_cli.probing.units import unit_facts
from gradcheck_cli.records import UnitFacts

_VARIATION_SAMPLES, _VARIATION_COLUMNS = 64, 128  # looked at for the variation between samples
_CHANNELS_LAST = (nn.Linear, nn.LayerNorm, nn.RNNBase, nn.Embedding)
_CHANNELS_FIRST = (nn.modules.conv._ConvNd, nn.modules.batchnorm._NormBase, nn.GroupNorm)


_OPTIONS = ("eps", "p", "num_features", "in_features", "out_features", "hidden_size", "num_layers", "negative_slope", "groups")


@dataclass(slots=True)
class LayerForward:
    """The forward facts of one layer, its calls combined."""

    output: Summary | None = None
    units: UnitFacts | None = None
    variation: float | None = None
    facts: dict[str, float | str] = field(default_factory=dict)


class ForwardObserver:
    """Collect forward facts per layer name; hand `see` to a Capture.

    `inputs` keeps the first call's input of each fused recurrent layer, for the gradient through time (a few sequences only).
    """

    def __init__(self, batch_size: int, sequences: int = 4) -> None:
        self.batch_size, self.sequences = batch_size, sequences
        self.layers: dict[str, LayerForward] = {}
        self.inputs: dict[str, tuple[nn.RNNBase, Tensor]] = {}
        self._last: tuple[weakref.ref[Tensor], Summary] | None = None
        self._channels_first = False  # the latest layer with parameters keeps its units in dimension 1

    def see(self, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        if call.recompute:
            return
        module = call.module
        if isinstance(module, _CHANNELS_FIRST):
            self._channels_first = True
        elif isinstance(module, _CHANNELS_LAST):
            self._channels_first = False
        tensor = output if isinstance(output, Tensor) else next((t for t in tensors_in(output) if t.is_floating_point()), None)
        if tensor is None or not (tensor.is_floating_point() or tensor.is_complex()) or _opaque(tensor):
            return
        layer = self.layers.get(call.name)
        if layer is None:
            layer = self.layers[call.name] = LayerForward(facts=_facts(module, tensor))
        if self._last is not None and self._last[0]() is tensor:
            summary = self._last[1]  # a container handing on its last child's output
        else:
            summary = summarise(tensor, histogram=False, peak=False)
            self._last = (weakref.ref(tensor), summary)
        if layer.output is None:
            layer.output = Summary()
        layer.output.add(summary)
        if call.index == 0:
            if role_of(module) in ("linear", "norm", "other"):
                layer.variation = variation_between_samples(tensor, self.batch_size)
            kind = activation_of(module)
            if kind is not None and kind not in ("softmax", "log_softmax", "glu"):
                layer.units = unit_facts(kind, tensor, self.unit_dim(tensor), limits=_limits(module))
        if isinstance(module, nn.RNNBase) and call.name not in self.inputs:
            sequence = args[0] if args else kwargs["input"]
            self.inputs[call.name] = (module, _first_sequences(module, sequence, self.sequences))

    def unit_dim(self, tensor: Tensor) -> int:
        return 1 if self._channels_first and tensor.ndim > 2 else tensor.ndim - 1


def _limits(module: nn.Module) -> tuple[float, float] | None:
    return (float(module.min_val), float(module.max_val)) if isinstance(module, nn.Hardtanh) else None


def variation_between_samples(tensor: Tensor, batch_size: int) -> float | None:
    """RMS over the batch of (x - batch mean) / RMS of x for x [N, ...], in [0, 1].

    0 when all samples give the same output, near 1 when their mean is zero; None without a batch dimension of at least 2.
    """
    if batch_size < 2 or tensor.ndim < 2 or tensor.shape[0] != batch_size or not tensor.is_floating_point() or _opaque(tensor):
        return None
    columns = tensor.detach().reshape(batch_size, -1)
    columns = columns[:_VARIATION_SAMPLES, :: max(1, columns.shape[1] // _VARIATION_COLUMNS)]
    columns = columns.double()  # the difference of two nearly equal squares below; torch.var_mean over rows is ten times slower
    mean = columns.mean(0)
    total, common = columns.square().sum().item() / columns.shape[0], torch.dot(mean, mean).item()
    return math.sqrt(max(total - common, 0.0) / total) if 0.0 < total < math.inf else None


def _opaque(tensor: Tensor) -> bool:
    return tensor.layout is not torch.strided or tensor.is_nested or torch._C._functorch.is_functorch_wrapped_tensor(tensor)


def _facts(module: nn.Module, output: Tensor) -> dict[str, float | str]:
    """The options of a layer that rules read."""
    facts: dict[str, float | str] = {}
    options = vars(module)  # not getattr: a Module searches parameters, buffers and children before it gives up
    for name in _OPTIONS:
        value = options.get(name)
        if isinstance(value, int | float):
            facts[name] = float(value)
    if isinstance(module, nn.modules.batchnorm._NormBase) and output.ndim > 1:
        per_sample = output[0, 0].numel() if isinstance(module, nn.modules.instancenorm._InstanceNorm) else output[:, 0].numel()
        facts["values_per_channel"] = float(per_sample)
    return facts


def _first_sequences(module: nn.RNNBase, x: Any, count: int) -> Tensor:
    """A detached copy of the first few (of a packed batch: the longest) sequences of a fused recurrent layer's input."""
    if isinstance(x, nn.utils.rnn.PackedSequence):
        padded, lengths = nn.utils.rnn.pad_packed_sequence(x, batch_first=module.batch_first)
        keep = (lengths == lengths.max()).nonzero().flatten()[:count]
        return padded.detach().index_select(0 if module.batch_first else 1, keep.to(padded.device)).clone()
    if x.ndim == 3:
        x = x[:count] if module.batch_first else x[:, :count]
    copied: Tensor = x.detach().clone()
    return copied
