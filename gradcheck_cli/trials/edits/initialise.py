"""Draw weights anew: He, Xavier, LeCun, orthogonal, LSUV, or as PyTorch's own layers start."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.weight_norm import WeightNorm

from gradcheck_cli.records import Edit
from gradcheck_cli.trials.base import NotApplicable, Setup
from gradcheck_cli.trials.fans import Piece, pieces_of
from gradcheck_cli.trials.modules import materialise, run_once
from gradcheck_cli.trials.weights import Weight, named_weights

# What each activation asks of the weights before it: as torch.nn.init.calculate_gain, and √2 for the kin of ReLU.
_RECTIFIERS = ("prelu", "rrelu", "relu6", "elu", "celu", "gelu", "silu", "mish", "hardswish", "softplus", "threshold")
_LINEAR = ("none", "identity", "erf", "softsign", "hardtanh", "hardsigmoid", "softmax", "log_softmax", "log_sigmoid", "glu")
_LSUV_ROUNDS = 5  # D. Mishkin, J. Matas (2016) need one or two
_LSUV_TOLERANCE = 0.02  # of the standard deviation; theirs is 0.1 of the variance
# Multiplications of all QR decompositions together, some ten seconds on one core (chosen by us): a layer of 4096 units
# stays below it, a language model of many such layers does not.
MOST_WORK = 2e11

SCHEMES = ("he", "xavier", "lecun", "orthogonal", "lsuv", "default")


def apply(setup: Setup, edit: Edit) -> Setup:
    """Draw the weights of the named layers, or the named parameters, and start their biases at zero.

    Standard deviations, for a gain g: he g/√fan-in (He et al. 2015, equation 10), xavier g·√(2/(fan-in + fan-out)) (Glorot
    and Bengio 2010, equation 16), lecun 1/√fan-in; orthogonal draws orthonormal rows or columns times g (Saxe et al. 2014)
    for each gate of a recurrent layer and each group of a convolution; lsuv draws orthogonal weights and then scales each
    layer to unit output variance on the batch, in execution order (Mishkin and Matas 2016). `default` is the layer's own
    `reset_parameters`, biases included. Embeddings are drawn with standard deviation 1: one row is looked up at a time,
    whatever the table's size.

    Frozen parameters, and scales with one dimension, stay as they are. Raises NotApplicable when nothing was drawn.
    """
    scheme = str(edit.options.get("scheme", "he"))
    if scheme not in SCHEMES:
        raise NotApplicable(f"there is no initialisation called `{scheme}`")
    materialise(setup)
    weights = named_weights(setup.subject.model, edit.layers)
    gain = gain_of(str(edit.options.get("gain_of", "relu")) if scheme == "he" else str(edit.options.get("gain_of", "linear")))
    if scheme in ("orthogonal", "lsuv") and (work := _work(weights)) > MOST_WORK:
        raise NotApplicable(f"orthogonalising its weights takes {work:.1g} multiplications, which is too long to try")
    if scheme == "default":
        drawn = _reset(weights, setup.seed)
    else:
        generator = torch.Generator().manual_seed(setup.seed)
        drawn = [w for w in weights if _draw(w, "orthogonal" if scheme == "lsuv" else scheme, gain, generator)]
    if not drawn:
        raise NotApplicable("none of the layers has a trainable weight matrix that could be drawn anew")
    if scheme == "lsuv":
        _scale_to_unit_variance(setup, drawn)
    return setup


def gain_of(activation: str) -> float:
    """Return the factor on the weights' standard deviation in front of an activation, by its function name."""
    if activation in _RECTIFIERS:
        return math.sqrt(2.0)
    if activation in _LINEAR:
        return 1.0
    try:
        return float(nn.init.calculate_gain(activation))  # type: ignore[arg-type]
    except ValueError as error:
        raise NotApplicable(f"no gain is known for `{activation}`") from error


def _work(weights: list[Weight]) -> float:
    """The multiplications of the QR decompositions, rows · columns · the smaller of the two for each piece."""
    total = 0.0
    for weight in weights:
        value = weight.value()
        if value.ndim > 1 and not isinstance(weight.module, nn.Embedding | nn.EmbeddingBag):
            columns = math.prod(value.shape[1:])
            parts = [piece.stop - piece.start for piece in pieces_of(weight.module, value)]
            total += sum(rows * columns * min(rows, columns) for rows in parts)
    return total


def _draw(weight: Weight, scheme: str, gain: float, generator: torch.Generator) -> bool:
    """Set one weight; biases become zero. Says whether a weight was drawn."""
    value = weight.value()
    if value.ndim < 2 or value.numel() == 0:
        if weight.is_bias:
            weight.assign(torch.zeros_like(value))
        return False
    wide = torch.promote_types(value.dtype, torch.float32)  # half precision has no orthogonalisation and coarse draws
    fresh = torch.empty(value.shape, dtype=wide)
    table = isinstance(weight.module, nn.Embedding | nn.EmbeddingBag)
    for piece in pieces_of(weight.module, value):
        part = fresh[piece.start : piece.stop]
        part.copy_(_noise(part.shape, wide, generator) if table else _matrix(part.shape, wide, piece, scheme, gain, generator))
    if table and weight.module.padding_idx is not None:
        fresh[weight.module.padding_idx] = 0  # type: ignore[index]
    weight.assign(fresh.to(value))
    return True


def _matrix(
    shape: torch.Size, dtype: torch.dtype, piece: Piece, scheme: str, gain: float, generator: torch.Generator
) -> Tensor:
    if scheme == "orthogonal":
        return _orthogonal(shape, dtype, piece, generator) * gain
    std = {
        "he": gain / math.sqrt(piece.fan_in),
        "xavier": gain * math.sqrt(2.0 / (piece.fan_in + piece.fan_out)),
        "lecun": 1.0 / math.sqrt(piece.fan_in),
    }[scheme]
    return _noise(shape, dtype, generator) * std


def _noise(shape: torch.Size, dtype: torch.dtype, generator: torch.Generator) -> Tensor:
    """Normal values of variance one; of a complex number each part holds half of it."""
    return torch.randn(shape, dtype=dtype, generator=generator)


def _orthogonal(shape: torch.Size, dtype: torch.dtype, piece: Piece, generator: torch.Generator) -> Tensor:
    """Orthonormal rows or columns, whichever are fewer, of the matrix [outputs, everything that flows into one]."""
    rows, columns = shape[0], math.prod(shape[1:])
    if piece.transposed and len(shape) > 2:  # [in, out, k]: an output sums over inputs, and over k/s kernel elements
        outputs, inputs, field = shape[1], shape[0], math.prod(shape[2:])
        flat = _orthonormal(outputs, inputs * field, dtype, generator) * math.sqrt(inputs * field / piece.fan_in)
        return flat.reshape(outputs, inputs, *shape[2:]).transpose(0, 1)
    return _orthonormal(rows, columns, dtype, generator).reshape(shape)


def _orthonormal(rows: int, columns: int, dtype: torch.dtype, generator: torch.Generator) -> Tensor:
    noise = torch.randn(max(rows, columns), min(rows, columns), dtype=dtype, generator=generator)
    q, r = torch.linalg.qr(noise)
    phase = r.diagonal() / r.diagonal().abs()
    uniform: Tensor = q * phase  # over the orthogonal group (Mezzadri 2007)
    return uniform if rows >= columns else uniform.transpose(0, 1)


def _reset(weights: list[Weight], seed: int) -> list[Weight]:
    """Draw as PyTorch's layers start: by `reset_parameters`, else uniformly within 1/√fan-in as nn.Linear does."""
    generator = torch.Generator().manual_seed(seed)
    done = []
    by_module: dict[int, list[Weight]] = {}
    for weight in weights:
        by_module.setdefault(id(weight.module), []).append(weight)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for group in by_module.values():
            module = group[0].module
            names = {name for name, _ in module.named_parameters(recurse=False)}
            reset = getattr(module, "reset_parameters", None)
            whole = {w.name for w in group} == names and not parametrize.is_parametrized(module)
            if callable(reset) and whole:
                reset()
                done += group
            else:
                done += [w for w in group if _draw_uniform(w, generator)]
    return done


def _draw_uniform(weight: Weight, generator: torch.Generator) -> bool:
    value = weight.value()
    if value.ndim < 2 or value.numel() == 0:
        return False
    wide = torch.promote_types(value.dtype, torch.float32)
    fresh = torch.empty(value.shape, dtype=wide)
    for piece in pieces_of(weight.module, value):
        part = fresh[piece.start : piece.stop]
        bound = 1.0 / math.sqrt(piece.fan_in)
        part.copy_((2.0 * torch.rand(part.shape, dtype=wide, generator=generator) - 1.0) * bound)
    weight.assign(fresh.to(value))
    return True


def _scale_to_unit_variance(setup: Setup, drawn: list[Weight]) -> None:
    """Run the copy once; each layer scales its weight as soon as it has run, and hands on the output it then gives."""
    scaled: set[int] = set()
    handles = []
    for weight in drawn:
        if not isinstance(weight.module, nn.RNNBase | nn.RNNCellBase | nn.Embedding | nn.EmbeddingBag):
            hook = _UnitVariance(weight, scaled)
            handles.append(weight.module.register_forward_hook(hook, with_kwargs=True, prepend=True))
    try:
        run_once(setup)
    finally:
        for handle in handles:
            handle.remove()


class _UnitVariance:
    """A forward hook that works once for each layer."""

    def __init__(self, weight: Weight, scaled: set[int]) -> None:
        self.weight, self.scaled = weight, scaled

    def __call__(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
        if id(module) in self.scaled or not isinstance(output, Tensor) or output.numel() < 2:
            return None
        self.scaled.add(id(module))
        for _ in range(_LSUV_ROUNDS):
            size = float(output.detach().to(torch.promote_types(output.dtype, torch.float32)).std())
            if not 0.0 < size < math.inf or abs(size - 1.0) < _LSUV_TOLERANCE:
                break
            self.weight.assign(self.weight.value() / size)
            for hook in module._forward_pre_hooks.values():
                if isinstance(hook, WeightNorm):  # computes the weight before each call
                    hook(module, args)
            output = module.forward(*args, **kwargs)
        return output
