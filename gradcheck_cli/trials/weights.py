"""Read and set a layer's weights where they really are: plain, parametrised, or computed by old-style weight norm."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from gradcheck_cli.trials.base import NotApplicable
from gradcheck_cli.trials.modules import chosen_modules, modules_by_name, parameters_by_name

_EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag)
_ENDS = ("_g", "_v", "_orig")  # of what old-style weight and spectral norm compute a tensor from


@dataclass(frozen=True, slots=True)
class Weight:
    """One tensor that a module computes with, by its attribute name. `owner` is the module's name in the profile."""

    owner: str
    module: nn.Module
    name: str

    @property
    def label(self) -> str:
        return f"{self.owner}.{self.name}" if self.owner else self.name

    @property
    def is_bias(self) -> bool:
        return "bias" in self.name

    def sources(self) -> list[nn.Parameter]:
        """The parameters that the tensor is made from: itself, or the originals of a parametrisation."""
        if parametrize.is_parametrized(self.module, self.name):
            return list(self.module.parametrizations[self.name].parameters())  # type: ignore[index, union-attr]
        own = dict(self.module.named_parameters(recurse=False))
        if self.name in own:
            return [own[self.name]]
        return [own[self.name + end] for end in _ENDS if self.name + end in own]

    @torch.no_grad()
    def value(self) -> Tensor:
        """A copy of the tensor that the layer multiplies with."""
        old = _old_norm(self.module, self.name)
        if isinstance(old, WeightNorm):
            return old.compute_weight(self.module).detach().clone()  # type: ignore[no-any-return]
        source = self.name + "_orig" if old is not None else self.name
        return getattr(self.module, source).detach().clone()  # type: ignore[no-any-return]

    @torch.no_grad()
    def assign(self, value: Tensor) -> None:
        """Set it, through the parametrisation's own inverse. Raises NotApplicable where there is none."""
        old = _old_norm(self.module, self.name)
        if isinstance(old, WeightNorm):
            direction, size = getattr(self.module, self.name + "_v"), getattr(self.module, self.name + "_g")
            direction.copy_(value)
            size.copy_(torch.norm_except_dim(direction, 2, old.dim))
        elif old is not None:
            getattr(self.module, self.name + "_orig").copy_(value)
        elif parametrize.is_parametrized(self.module, self.name):
            try:
                setattr(self.module, self.name, value)
            except (NotImplementedError, ValueError, RuntimeError) as error:
                raise NotApplicable(f"`{self.label}` has a parametrisation that takes no new value") from error
        else:
            getattr(self.module, self.name).copy_(value)


def _old_norm(module: nn.Module, name: str) -> WeightNorm | SpectralNorm | None:
    hooks = module._forward_pre_hooks.values()
    return next((h for h in hooks if isinstance(h, WeightNorm | SpectralNorm) and h.name == name), None)


def own_weights(owner: str, module: nn.Module) -> Iterator[Weight]:
    """Yield the tensors that a module itself computes with, parametrised ones by the name they are used under."""
    names: dict[str, None] = {}
    for name, _ in module.named_parameters(recurse=False):
        names[_used_name(module, name)] = None
    if parametrize.is_parametrized(module):
        names |= dict.fromkeys(module.parametrizations.keys())  # type: ignore[union-attr, operator]
    for name in names:
        yield Weight(owner, module, name)
    if isinstance(module, nn.MultiheadAttention):  # it calls this layer's weight, never the layer
        yield from own_weights(f"{owner}.out_proj" if owner else "out_proj", module.out_proj)


def named_weights(model: nn.Module, names: tuple[str, ...]) -> list[Weight]:
    """Return the weights of the layers, and the single parameters, that an edit names.

    Tied ones come once, frozen ones not at all, and one that an embedding shares only if nothing else is named: what suits
    a matrix product does not suit the table. Raises NotApplicable for unknown names.
    """
    modules, parameters = modules_by_name(model), parameters_by_name(model)
    chosen: list[Weight] = []
    for name in names:
        owner, _, last = name.rpartition(".")
        if name in modules:
            chosen += own_weights(*chosen_modules(model, (name,))[0])
        elif name in parameters:
            chosen.append(Weight(owner, modules[owner], _used_name(modules[owner], last)))
        else:
            raise NotApplicable(f"`{name}` is neither a module nor a parameter of the model")
    seen: set[int] = set()
    unique = []
    for weight in chosen:
        keys = {id(p) for p in weight.sources()}
        if keys and not keys & seen and all(p.requires_grad for p in weight.sources()):
            unique.append(weight)
        seen |= keys
    tables = {id(p) for m in model.modules() if isinstance(m, _EMBEDDINGS) for p in m.parameters(recurse=False)}
    if len(set(names)) == 1:
        return unique
    return [w for w in unique if isinstance(w.module, _EMBEDDINGS) or not any(id(p) in tables for p in w.sources())]


def _used_name(module: nn.Module, parameter: str) -> str:
    """The name of the tensor that a parameter is part of: `weight_v` of an old weight norm is part of `weight`."""
    stem = next((parameter.removesuffix(end) for end in _ENDS if parameter.endswith(end)), parameter)
    return stem if stem != parameter and _old_norm(module, stem) is not None else parameter
