"""Healthy networks over time: gated recurrent layers, attention on top of them, and causal convolutions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from gradcheck_cli.loading.base import Batch, Outcome
from zoo.batches import (
    forecasts,
    images,
    labelled_tokens,
    next_tokens,
    signals,
    tagged_tokens,
    token_pairs,
)
from zoo.cases import CLASSIFY, PER_TOKEN, REGRESS, Case, custom, healthy


class Tagger(nn.Module):
    """Embedding, recurrent layers, a head at every step."""

    def __init__(self, cell: type[nn.Module], layers: int = 1, both: bool = False, out: int = 5, tied: bool = False):
        super().__init__()
        self.emb = nn.Embedding(200, 48, padding_idx=0)
        self.rnn = cell(48, 48, layers, batch_first=True, bidirectional=both, dropout=0.1 if layers > 1 else 0.0)
        self.head = nn.Linear(96 if both else 48, out)
        if tied:
            nn.init.uniform_(self.emb.weight, -0.1, 0.1)
            self.head.weight = self.emb.weight

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.rnn(self.emb(ids))[0])


class SequenceClassifier(nn.Module):
    """Recurrent layers over a signal, a head on the last step or on the mean."""

    def __init__(self, cell: type[nn.Module], layers: int = 1, mean: bool = False, width: int = 48):
        super().__init__()
        self.rnn = cell(8, width, layers, batch_first=True)
        self.head, self.mean = nn.Linear(width, 5), mean

    def forward(self, x: Tensor) -> Tensor:
        h, _ = self.rnn(x)
        return self.head(h.mean(1) if self.mean else h[:, -1])


class CellLoop(nn.Module):
    """A hand-written loop over nn.LSTMCell, forget bias one."""

    def __init__(self, width: int = 48):
        super().__init__()
        self.cell, self.head = nn.LSTMCell(8, width), nn.Linear(width, 5)
        nn.init.constant_(self.cell.bias_ih[width : 2 * width], 1.0)

    def forward(self, x: Tensor) -> Tensor:
        state = None
        for step in x.unbind(1):
            state = self.cell(step, state)
        return self.head(state[0])


class AttentiveSeq2Seq(nn.Module):
    """GRU encoder, GRU decoder that attends to it (Bahdanau)."""

    def __init__(self, vocabulary: int = 120, dim: int = 48):
        super().__init__()
        self.source, self.target = nn.Embedding(vocabulary, dim), nn.Embedding(vocabulary, dim)
        self.encoder, self.decoder = nn.GRU(dim, dim, batch_first=True), nn.GRUCell(2 * dim, dim)
        self.query, self.key, self.energy = nn.Linear(dim, dim), nn.Linear(dim, dim), nn.Linear(dim, 1)
        self.head = nn.Linear(2 * dim, vocabulary)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        memory, state = self.encoder(self.source(source))
        state, keys, out = state[-1], self.key(memory), []
        for token in self.target(target).unbind(1):
            score = self.energy(torch.tanh(self.query(state)[:, None] + keys))
            context = (torch.softmax(score, 1) * memory).sum(1)
            state = self.decoder(torch.cat([token, context], -1), state)
            out.append(self.head(torch.cat([state, context], -1)))
        return torch.stack(out, 1)


class TemporalBlock(nn.Module):
    """TCN: two dilated causal convolutions with weight norm and a residual."""

    def __init__(self, cin: int, cout: int, dilation: int):
        super().__init__()
        self.pad = 2 * dilation
        self.conv1 = weight_norm(nn.Conv1d(cin, cout, 3, dilation=dilation))
        self.conv2 = weight_norm(nn.Conv1d(cout, cout, 3, dilation=dilation))
        self.skip = nn.Conv1d(cin, cout, 1) if cin != cout else nn.Identity()
        self.drop = nn.Dropout(0.1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.drop(F.relu(self.conv1(F.pad(x, (self.pad, 0)))))
        y = self.drop(F.relu(self.conv2(F.pad(y, (self.pad, 0)))))
        return F.relu(y + self.skip(x))


class TCN(nn.Module):
    """Four temporal blocks and a head on the last step."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.Sequential(*[TemporalBlock(8 if i == 0 else 32, 32, 2**i) for i in range(4)])
        self.head = nn.Linear(32, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(x.transpose(1, 2))[:, :, -1])


class WaveNet(nn.Module):
    """Gated dilated convolutions; residual and skip paths."""

    def __init__(self, width: int = 24, depth: int = 6):
        super().__init__()
        self.inp = nn.Conv1d(1, width, 1)
        self.gated = nn.ModuleList(nn.Conv1d(width, 2 * width, 2, dilation=2**i) for i in range(depth))
        self.res = nn.ModuleList(nn.Conv1d(width, width, 1) for _ in range(depth))
        self.skips = nn.ModuleList(nn.Conv1d(width, width, 1) for _ in range(depth))
        self.out = nn.Sequential(nn.ReLU(), nn.Conv1d(width, width, 1), nn.ReLU(), nn.Conv1d(width, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        x, total = self.inp(x.transpose(1, 2)), 0
        for i, conv in enumerate(self.gated):
            a, b = conv(F.pad(x, (2**i, 0))).chunk(2, 1)
            h = torch.tanh(a) * torch.sigmoid(b)
            total = total + self.skips[i](h)
            x = x + self.res[i](h)
        return self.out(total).transpose(1, 2)


class CRNN(nn.Module):
    """Convolutions over an image, bidirectional LSTM over its columns, CTC loss."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=1),
            nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d((2, 1)),
        )  # fmt: skip
        self.rnn, self.head = nn.LSTM(32 * 8, 32, bidirectional=True, batch_first=True), nn.Linear(64, 11)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv(x).flatten(1, 2).transpose(1, 2)
        return F.log_softmax(self.head(self.rnn(h)[0]), -1)


def _ctc(model: nn.Module, batch: Batch) -> Outcome:
    output = model(*batch.args)
    n = len(output)
    target = torch.stack([batch.target % 10, batch.target // 2, batch.target // 3], 1) + 1
    lengths = torch.full((n,), output.shape[1]), torch.full((n,), 3)
    return Outcome(loss=F.ctc_loss(output.transpose(0, 1), target, *lengths), output=output, target=target)


class CharCNN(nn.Module):
    """Convolutions over character embeddings, maximum over time."""

    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(200, 24)
        self.convs = nn.ModuleList(nn.Conv1d(24, 24, k, padding=k // 2) for k in (2, 3, 4, 5))
        self.head = nn.Sequential(nn.Dropout(0.5), nn.Linear(96, 5))

    def forward(self, ids: Tensor) -> Tensor:
        x = self.emb(ids).transpose(1, 2)
        return self.head(torch.cat([F.relu(conv(x)).amax(2) for conv in self.convs], 1))


class DeepSpeech(nn.Module):
    """Strided convolutions, three bidirectional GRU layers with BatchNorm between, a head at every step."""

    def __init__(self, width: int = 32):
        super().__init__()
        self.front = nn.Sequential(nn.Conv1d(8, width, 5, 2, 2), nn.BatchNorm1d(width), nn.Hardtanh(0, 20, inplace=True))
        self.rnns = nn.ModuleList(nn.GRU(width, width, batch_first=True, bidirectional=True) for _ in range(3))
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for _ in range(3))
        self.head = nn.Linear(width, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.front(x.transpose(1, 2))
        for norm, rnn in zip(self.norms, self.rnns, strict=True):
            forward, backward = rnn(norm(x).transpose(1, 2))[0].chunk(2, -1)
            x = (forward + backward).transpose(1, 2)
        return self.head(x.mean(2))


class ConvLSTM(nn.Module):
    """A convolutional LSTM cell over eight rows of patches."""

    def __init__(self, width: int = 12):
        super().__init__()
        self.gates, self.head, self.width = nn.Conv2d(3 + width, 4 * width, 3, padding=1), nn.Linear(width, 10), width

    def forward(self, x: Tensor) -> Tensor:
        frames = x.unfold(2, 8, 8).permute(2, 0, 1, 4, 3)  # four strips of the image in time
        h = c = x.new_zeros(len(x), self.width, 8, 32)
        for frame in frames:
            i, f, o, g = self.gates(torch.cat([frame, h], 1)).chunk(4, 1)
            c = torch.sigmoid(f + 1) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
        return self.head(h.mean((2, 3)))


_LM = next_tokens()
CASES: tuple[Case, ...] = (
    healthy("lstm-tagger", "recurrent", lambda: Tagger(nn.LSTM), tagged_tokens(), PER_TOKEN, mechanism="8"),
    healthy("bilstm-tagger", "recurrent", lambda: Tagger(nn.LSTM, 2, True), tagged_tokens(), PER_TOKEN, mechanism="8"),
    healthy("gru-tagger", "recurrent", lambda: Tagger(nn.GRU), tagged_tokens(), PER_TOKEN, mechanism="8"),
    healthy("lstm-language-model", "recurrent", lambda: Tagger(nn.LSTM, 2, out=200), _LM, PER_TOKEN, mechanism="8"),
    healthy("gru-language-model-tied", "recurrent", lambda: Tagger(nn.GRU, out=200, tied=True), _LM, PER_TOKEN,
            mechanism="8,12"),
    healthy("lstm-classifier-last", "recurrent", lambda: SequenceClassifier(nn.LSTM), signals(16, 30), CLASSIFY,
            mechanism="11"),
    healthy("lstm-classifier-long", "recurrent", lambda: SequenceClassifier(nn.LSTM), signals(16, 120), CLASSIFY,
            mechanism="11"),
    healthy("gru-classifier-last", "recurrent", lambda: SequenceClassifier(nn.GRU), signals(16, 30), CLASSIFY,
            mechanism="11"),
    healthy("gru-classifier-mean", "recurrent", lambda: SequenceClassifier(nn.GRU, 2, True), signals(16), CLASSIFY),
    healthy("rnn-short", "recurrent", lambda: SequenceClassifier(nn.RNN), signals(32, 6), CLASSIFY),
    healthy("lstm-cell-loop", "recurrent", CellLoop, signals(16, 40), CLASSIFY, mechanism="12"),
    healthy("seq2seq-attention", "recurrent", AttentiveSeq2Seq, token_pairs(), PER_TOKEN, mechanism="3,10,12"),
    healthy("tcn", "recurrent", TCN, signals(16), CLASSIFY, mechanism="11"),
    healthy("wavenet", "recurrent", WaveNet, forecasts(), REGRESS),
    healthy("crnn-ctc", "recurrent", CRNN, images(8, 1), custom(_ctc, "ctc"), mechanism="3"),
    healthy("char-cnn", "recurrent", CharCNN, labelled_tokens(), CLASSIFY, mechanism="8"),
    healthy("deep-speech", "recurrent", DeepSpeech, signals(8), CLASSIFY, mechanism="3"),
    healthy("conv-lstm", "recurrent", ConvLSTM, images(8), CLASSIFY, mechanism="12"),
)  # fmt: skip
