"""Sick in time: recurrence × length × initialisation, fused layers, cells in a loop, and loops written by hand.

A vanilla RNN with PyTorch's default initialisation multiplies the gradient by about 0.55 a step.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from zoo.batches import forecasts, labelled_tokens, signals
from zoo.cases import CLASSIFY, REGRESS, Case, sick


class LastStep(nn.Module):
    """A recurrent layer and a head on its last output; `prepare` changes the layer's weights."""

    def __init__(self, layer: nn.Module, prepare: Callable[[nn.Module], None] | None = None, outputs: int = 5):
        super().__init__()
        self.rnn = layer
        self.head = nn.Linear(layer.hidden_size * (2 if layer.bidirectional else 1), outputs)
        if prepare:
            with torch.no_grad():
                prepare(layer)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(x)[0][:, -1])


class Loop(nn.Module):
    """h ← f(W x + U h), written by hand; U is a multiple of an orthogonal matrix, or default-initialised."""

    def __init__(self, activation: Callable[[Tensor], Tensor] = torch.tanh, scale: float | None = None, width: int = 32):
        super().__init__()
        self.inp, self.rec, self.head = nn.Linear(8, width), nn.Linear(width, width), nn.Linear(width, 5)
        self.activation = activation
        if scale is not None:
            nn.init.orthogonal_(self.rec.weight, scale)
            nn.init.zeros_(self.rec.bias)

    def forward(self, x: Tensor) -> Tensor:
        h = x.new_zeros(len(x), self.rec.in_features)
        for step in x.unbind(1):
            h = self.activation(self.inp(step) + self.rec(h))
        return self.head(h)


class CellLoop(nn.Module):
    """nn.RNNCell called for every step."""

    def __init__(self, width: int = 32):
        super().__init__()
        self.cell, self.head = nn.RNNCell(8, width), nn.Linear(width, 5)

    def forward(self, x: Tensor) -> Tensor:
        h = None
        for step in x.unbind(1):
            h = self.cell(step, h)
        return self.head(h)


class TokenRNN(nn.Module):
    """Embedding, vanilla RNN, head on the last step."""

    def __init__(self, layers: int):
        super().__init__()
        self.emb, self.rnn = nn.Embedding(200, 32), nn.RNN(32, 32, layers, batch_first=True)
        self.head = nn.Linear(32, 5)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.rnn(self.emb(ids))[0][:, -1])


def rnn(width: int = 32, layers: int = 1, **options: object) -> nn.RNN:
    """A vanilla RNN over eight channels."""
    return nn.RNN(8, width, layers, batch_first=True, **options)


def recurrent_scale(scale: float, identity: bool = False) -> Callable[[nn.Module], None]:
    """Make the recurrent matrices a multiple of an orthogonal one or of the identity, biases zero."""

    def prepare(layer: nn.Module) -> None:
        for name, p in layer.named_parameters():
            if "weight_hh" in name:
                nn.init.eye_(p) if identity else nn.init.orthogonal_(p)
                p.mul_(scale)
            elif "bias" in name:
                p.zero_()

    return prepare


def normal_recurrence(scale: float) -> Callable[[nn.Module], None]:
    """Recurrent weights of standard deviation scale/√width: chaotic above one."""

    def prepare(layer: nn.Module) -> None:
        nn.init.normal_(layer.weight_hh_l0, std=scale * layer.hidden_size**-0.5)

    return prepare


def shut_gate(offset: float) -> Callable[[nn.Module], None]:
    """Shift the bias of the LSTM's forget gate or the GRU's update gate (the second of each)."""

    def prepare(layer: nn.Module) -> None:
        width = layer.hidden_size
        layer.bias_hh_l0[width : 2 * width] += offset

    return prepare


FORGETS, GROWS = ("GC103",), ("GC104",)
_LATE = ("GC101", "GC105", "GC203", "GC205")
_WILD = ("GC102", "GC202", "GC204", "GC301", "GC602")


def _forgets(name: str, what: str, model: Callable[[], nn.Module], steps: int) -> Case:
    return sick(name, "sick-time", what, model, signals(8, steps), CLASSIFY, expect=FORGETS, also=_LATE)


def _grows(name: str, what: str, model: Callable[[], nn.Module], steps: int) -> Case:
    return sick(name, "sick-time", what, model, signals(8, steps), CLASSIFY, expect=GROWS, also=_WILD)


CASES: tuple[Case, ...] = (
    *(_forgets(f"rnn-{steps}", "vanilla RNN, default", lambda: LastStep(rnn()), steps) for steps in (100, 200, 500)),
    _forgets("rnn-two-layers-150", "two layers", lambda: LastStep(rnn(layers=2)), 150),
    _forgets("rnn-wide-150", "width 128", lambda: LastStep(rnn(128)), 150),
    _forgets("rnn-relu-150", "ReLU recurrence, default", lambda: LastStep(rnn(nonlinearity="relu")), 150),
    _forgets("rnn-contracting-120", "recurrent matrix 0.5 × orthogonal", lambda: LastStep(rnn(), recurrent_scale(0.5)), 120),
    _forgets("rnn-loop-tanh-120", "hand-written loop, default", Loop, 120),
    _forgets("rnn-loop-contracting-80", "hand-written loop, 0.4 × orthogonal", lambda: Loop(scale=0.4), 80),
    _forgets("rnn-loop-sigmoid-100", "hand-written loop, sigmoid", lambda: Loop(torch.sigmoid), 100),
    _forgets("rnn-cell-120", "nn.RNNCell in a loop", CellLoop, 120),
    _forgets("lstm-forget-shut-100", "forget bias -6", lambda: LastStep(nn.LSTM(8, 32, batch_first=True), shut_gate(-6.0)),
             100),
    _forgets("gru-update-shut-100", "update bias -8 and small recurrence",
             lambda: LastStep(nn.GRU(8, 32, batch_first=True), lambda g: (shut_gate(-8.0)(g), g.weight_hh_l0.mul_(0.1))), 100),
    sick("rnn-tokens-128", "sick-time", "tokens, vanilla RNN", lambda: TokenRNN(1), labelled_tokens(8, 128), CLASSIFY,
         expect=FORGETS, also=_LATE),
    sick("rnn-forecast-200", "sick-time", "regression from the last step",
         lambda: LastStep(nn.RNN(1, 32, batch_first=True), outputs=1),
         lambda: _last_target(forecasts(8, 200)()), REGRESS, expect=FORGETS, also=_LATE),
    _grows("rnn-relu-identity-1.2-100", "ReLU recurrence, 1.2 × identity",
           lambda: LastStep(rnn(nonlinearity="relu"), recurrent_scale(1.2, identity=True)), 100),
    _grows("rnn-relu-orthogonal-2-60", "ReLU recurrence, 2 × orthogonal",
           lambda: LastStep(rnn(nonlinearity="relu"), recurrent_scale(2.0)), 60),
    _grows("rnn-tanh-chaotic-100", "tanh recurrence, gain 6", lambda: LastStep(rnn(64), normal_recurrence(6.0)), 100),
    _grows("rnn-loop-linear-1.1-100", "no activation, 1.1 × orthogonal", lambda: Loop(lambda h: h, 1.1), 100),
    _grows("rnn-loop-relu-1.8-60", "hand-written loop, 1.8 × orthogonal", lambda: Loop(torch.relu, 1.8), 60),
)  # fmt: skip


def _last_target(batch):
    """Keep the target of the last step only: [N, T, 1] → [N, 1]."""
    return type(batch)(args=batch.args, target=batch.target[:, -1])
