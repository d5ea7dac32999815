"""Replace a vanilla recurrent layer by a gated one that is called the same way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from gradcheck_cli.probing.belongings import belongings, entries
from gradcheck_cli.records import Edit
from gradcheck_cli.trials.base import NotApplicable, Setup, with_subject
from gradcheck_cli.trials.hand_written_cells import hand_written_cell
from gradcheck_cli.trials.module_calls import calls_of
from gradcheck_cli.trials.modules import chosen_modules

_FORGET_BIAS = 1.0  # Jozefowicz et al. (2015): an LSTM whose gate starts open keeps what it has read
_HOOKS = ("_forward_hooks", "_forward_hooks_with_kwargs", "_forward_hooks_always_called",
          "_forward_pre_hooks", "_forward_pre_hooks_with_kwargs")  # fmt: skip


class StateOnlyLSTM(nn.LSTM):
    """An LSTM called and unpacked as an nn.RNN: it takes h₀ alone, starts its cell at zero, and returns (output, h).

    The forget gates' biases start at 1.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                if name.startswith("bias"):  # the two biases of each layer are added
                    forget = parameter[self.hidden_size : 2 * self.hidden_size]
                    forget.fill_(_FORGET_BIAS if name.startswith("bias_ih") else 0.0)

    def forward(self, input: Any, hx: Tensor | None = None) -> Any:  # type: ignore[override]
        """As nn.RNN.forward: input [N, L, F] or as `batch_first` says, unbatched or packed; hx [layers · directions, N, H]."""
        output, (hidden, _) = super().forward(input, None if hx is None else (hx, torch.zeros_like(hx)))
        return output, hidden


def apply(setup: Setup, edit: Edit) -> Setup:
    """Put an nn.GRU or nn.LSTM (`to`) with fresh weights in place of each nn.RNN, nn.RNNCell or hand-written cell named.

    A module under several names stays one. Raises NotApplicable where the exchange would not be the same call.
    """
    to, model = str(edit.options["to"]), setup.subject.model
    chosen = chosen_modules(model, edit.layers)
    if not chosen:
        raise NotApplicable("no recurrent layer is named")
    with _seeded(setup.seed, model):
        made = {old: _successor(setup, name, old, to) for name, old in chosen}
    for old, new in made.items():
        _exchange(model, old, new)
    return with_subject(setup, model=made.get(model, model))


def _successor(setup: Setup, name: str, old: nn.Module, to: str) -> nn.Module:
    shown = f"`{name}`" if name else "the model"
    if isinstance(old, nn.LSTM | nn.GRU | nn.LSTMCell | nn.GRUCell):
        raise NotApplicable(f"{shown} is gated already")
    if type(old) is nn.RNN:
        new: nn.Module = _layer(setup, shown, old, to)
    elif type(old) is nn.RNNCell:
        new = _cell(shown, old, to)
    elif isinstance(old, nn.RNNBase | nn.RNNCellBase):
        raise NotApplicable(f"{shown} is a {type(old).__name__}, a class of its own on top of {type(old).__mro__[1].__name__}")
    else:
        return hand_written_cell(setup, shown, old, to)
    expected = type(old)(old.input_size, old.hidden_size, **_depth(old), bias=old.bias)
    if [n for n, _ in expected.named_parameters()] != [n for n, _ in old.named_parameters()]:
        raise NotApplicable(f"the weights of {shown} are computed from others (weight norm or the like)")
    new.requires_grad_(any(p.requires_grad for p in old.parameters()))
    for table in _HOOKS:
        getattr(new, table).update(getattr(old, table))
    return new.train(old.training)


def _layer(setup: Setup, shown: str, old: nn.RNN, to: str) -> nn.Module:
    if to == "lstm":
        for call in calls_of(setup, [old])[old]:
            state = call.args[1] if len(call.args) > 1 else call.kwargs.get("hx")
            if isinstance(state, Tensor) and bool(state.any()):
                raise NotApplicable(
                    f"{shown} is given a hidden state that is not zero; an LSTM would need the cell state carried beside it"
                )
    kind = StateOnlyLSTM if to == "lstm" else nn.GRU
    options = {"bias": old.bias, "batch_first": old.batch_first, "dropout": old.dropout}
    return kind(old.input_size, old.hidden_size, **_depth(old), **options, **_place(old))


def _cell(shown: str, old: nn.RNNCell, to: str) -> nn.Module:
    if to == "lstm":
        raise NotApplicable(f"the loop around {shown} hands on one state, and an LSTM cell has two; a GRU cell has one")
    return nn.GRUCell(old.input_size, old.hidden_size, bias=old.bias, **_place(old))


def _depth(old: nn.Module) -> dict[str, Any]:
    return {"num_layers": old.num_layers, "bidirectional": old.bidirectional} if isinstance(old, nn.RNNBase) else {}


def _place(module: nn.Module) -> dict[str, Any]:
    first = next(module.parameters())
    return {"device": first.device, "dtype": first.dtype}


@contextmanager
def _seeded(seed: int, model: nn.Module) -> Iterator[None]:
    """Draw from generators seeded here; those of the process stay where they are."""
    devices = {p.device for p in model.parameters() if p.device.type == "cuda"}
    with torch.random.fork_rng(devices=sorted(d.index or 0 for d in devices)):
        torch.manual_seed(seed)
        yield


def _exchange(model: nn.Module, old: nn.Module, new: nn.Module) -> None:
    """Put the new module wherever the model holds the old one: as a child, in plain lists and dicts too."""
    for container in belongings(model).containers.values():
        if isinstance(container, dict | list):
            for key, value in entries(container):
                if value is old:
                    container[key] = new
                elif isinstance(value, tuple) and any(part is old for part in value):
                    container[key] = _retold(value, old, new)


def _retold(value: Sequence[Any], old: nn.Module, new: nn.Module) -> Any:
    parts = [new if part is old else part for part in value]
    make: Any = type(value)
    return make(*parts) if hasattr(value, "_fields") else make(parts)
