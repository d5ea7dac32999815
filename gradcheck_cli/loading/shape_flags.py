"""Batches from `--input 8,3,224,224`, `--input int:8,128` or `--input mask=8,16`."""

from __future__ import annotations

import re

import torch
from torch import Tensor, nn

from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.loading.context import Context
from gradcheck_cli.loading.found_data import FoundData
from gradcheck_cli.loading.input_specs import spec_of
from gradcheck_cli.loading.signatures import Signature

_FLAG = re.compile(r"(?:(?P<name>[A-Za-z_]\w*)=)?(?:(?P<kind>int|float|bool):)?(?P<shape>\d+(?:[,x]\d+)*)\Z")


def from_flags(context: Context, model: nn.Module, forward: Signature) -> FoundData:
    """Random tensors of the given shapes, in forward's order of parameters; raises E675 for a shape that cannot be read."""
    generator = torch.Generator().manual_seed(context.settings.seed)
    named: dict[str, Tensor] = {}
    free = list(forward.positional)
    for position, flag in enumerate(context.settings.input):
        match = _FLAG.match(flag.replace(" ", ""))
        if match is None:
            raise GradcheckError(
                "E675",
                f"--input {flag} is not a shape",
                "a shape is numbers with commas, batch size first",
                "write --input 8,3,224,224, or int:8,128 for integers, or NAME=8,16 for one of several inputs",
            )
        name = match["name"] or (free[0] if free else f"input{position}")
        if name in free:
            free.remove(name)
        shape = [int(n) for n in re.split("[,x]", match["shape"])]
        named[name] = _tensor(match["kind"], shape, name, model, generator, context)
    if 0 in [n for tensor in named.values() for n in tensor.shape]:
        raise GradcheckError(
            "E346", "--input asks for an empty batch", "one of its sizes is 0", "give every dimension at least 1"
        )
    leading = tuple(named) == forward.positional[: len(named)] or not _nameable(named, forward)
    return FoundData(raws=[tuple(named.values()) if leading else named], origin="--input", has_target=False, made=True)


def _nameable(named: dict[str, Tensor], forward: Signature) -> bool:
    return all(forward.accepts(name) for name in named) or forward.var_keyword


def _tensor(
    kind: str | None, shape: list[int], name: str, model: nn.Module, generator: torch.Generator, context: Context
) -> Tensor:
    tables = [(n, spec) for n, m in model.named_modules() if (spec := spec_of(m, n, model)) is not None]
    first = tables[0][1] if tables else None
    if kind is None and first is not None and first.kind == "integers":
        kind = "int"
        context.assume(f"`{name}` is filled with integers: the first layer, `{first.layer}`, is an embedding")
    if kind == "int":
        highs = [spec.high for _, spec in tables if spec.kind == "integers"]
        high = highs[0] if highs else 2
        context.assume(
            f"`{name}` holds random integers below {high}" + ("" if highs else ": no embedding says how many there are")
        )
        return torch.randint(0, high, shape, generator=generator)
    if kind == "bool":
        return torch.ones(shape, dtype=torch.bool)
    return torch.randn(shape, generator=generator)
