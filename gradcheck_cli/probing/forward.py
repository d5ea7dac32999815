"""What the forward pass shows of each module call, reduced to numbers while it runs."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from gradcheck_cli.probing.calls import Call
from gradcheck_cli.probing.deferred import Deferred, Wanted, is_small
from gradcheck_cli.probing.kinds import activation_of, role_of
from gradcheck_cli.probing.summary import Summary, combined
from gradcheck_cli.probing.tensors import tensors_in
from gradcheck_cli.probing.units import RECTIFIERS, rectifier_facts, unit_facts
from gradcheck_cli.probing.variation import is_batch, is_opaque, variation_between_samples
from gradcheck_cli.records import UnitFacts

_CHANNELS_LAST = (nn.Linear, nn.LayerNorm, nn.RNNBase, nn.Embedding)
_CHANNELS_FIRST = (nn.modules.conv._ConvNd, nn.modules.batchnorm._NormBase, nn.GroupNorm)


_OPTIONS = ("eps", "p", "num_features", "in_features", "out_features", "hidden_size", "num_layers", "negative_slope", "groups")


@dataclass(slots=True)
class LayerForward:
    """The forward facts of one layer, its calls combined."""

    outputs: list[Summary] = field(default_factory=list)
    units: UnitFacts | None = None
    facts: dict[str, float | str] = field(default_factory=dict)

    @property
    def output(self) -> Summary | None:
        return combined(self.outputs)

    @property
    def variation(self) -> float | None:
        """Between the samples of the batch, in the first call."""
        return self.outputs[0].variation if self.outputs else None


class ForwardObserver:
    """Collect forward facts per layer name; hand `see` to a Capture.

    `inputs` keeps the first call's input of each fused recurrent layer, for the gradient through time (a few sequences only).
    """

    def __init__(self, batch_size: int, deferred: Deferred, sequences: int = 4) -> None:
        self.batch_size, self.deferred, self.sequences = batch_size, deferred, sequences
        self.layers: dict[str, LayerForward] = {}
        self.inputs: dict[str, tuple[nn.RNNBase, Tensor]] = {}
        self._counted: list[tuple[LayerForward, str, int, Summary]] = []  # kind and number of units whose dead ones are counted
        self._last: tuple[weakref.ref[Tensor], int, Summary] | None = None  # a tensor, its version, and what it came to
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
        if tensor is None or not (tensor.is_floating_point() or tensor.is_complex()) or is_opaque(tensor):
            return
        layer = self.layers.get(call.name)
        if layer is None:
            layer = self.layers[call.name] = LayerForward(facts=_facts(module, tensor))
        layer.outputs.append(self._reduce(layer, module, tensor, first=call.index == 0))
        if isinstance(module, nn.RNNBase) and call.name not in self.inputs:
            sequence = args[0] if args else kwargs["input"]
            self.inputs[call.name] = (module, _first_sequences(module, sequence, self.sequences))

    def finish(self) -> None:
        """Fill in what was deferred."""
        self.deferred.flush()
        for layer, kind, units, summary in self._counted:
            layer.units = rectifier_facts(kind, units, summary.dead_units or 0.0)
        self._counted.clear()

    def _reduce(self, layer: LayerForward, module: nn.Module, tensor: Tensor, *, first: bool) -> Summary:
        varies = first and role_of(module) in ("linear", "norm", "other") and is_batch(tensor, self.batch_size)
        kind = activation_of(module) if first else None
        if kind in ("softmax", "log_softmax", "glu"):
            kind = None
        small, dim = is_small(tensor), self.unit_dim(tensor)
        counted = small and kind in RECTIFIERS and tensor.ndim > 1
        if kind is not None and not counted:
            layer.units = unit_facts(kind, tensor, dim, limits=_limits(module))
        version = 0 if tensor.is_inference() else tensor._version
        if self._last is not None and self._last[0]() is tensor and self._last[1] == version and not varies and not counted:
            return self._last[2]  # a container handing on its last child's output
        if small:
            summary = self.deferred.add(tensor, Wanted(variation=varies, unit_dim=dim if counted else None))
        else:
            summary = self.deferred.summarise(tensor, histogram=False, peak=False)
            summary.variation = variation_between_samples(tensor, self.batch_size) if varies else None
        if kind is not None and counted:
            self._counted.append((layer, kind, tensor.shape[dim], summary))
        self._last = (weakref.ref(tensor), version, summary)
        return summary

    def unit_dim(self, tensor: Tensor) -> int:
        return 1 if self._channels_first and tensor.ndim > 2 else tensor.ndim - 1


def _limits(module: nn.Module) -> tuple[float, float] | None:
    return (float(module.min_val), float(module.max_val)) if isinstance(module, nn.Hardtanh) else None


def _facts(module: nn.Module, output: Tensor) -> dict[str, float | str]:
    """The options of a layer that rules read."""
    facts: dict[str, float | str] = {}
    options = vars(module)  # not getattr: a Module searches parameters, buffers and children before it gives up
    for name in _OPTIONS:
        if name in options and isinstance(options[name], (int, float)):
            facts[name] = float(options[name])
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
