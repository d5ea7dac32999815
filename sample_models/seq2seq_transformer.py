"""An encoder-decoder on nn.Transformer with padding, a causal mask and a loss that ignores pads; healthy."""
# gradcheck-expect: clean

import math

import torch
from torch import Tensor, nn

PAD = 0


class PositionalEncoding(nn.Module):
    def __init__(self, dim: int, max_len: int = 64) -> None:
        super().__init__()
        position = torch.arange(max_len).unsqueeze(1)
        div = torch.exp(torch.arange(0, dim, 2) * (-math.log(10000.0) / dim))
        pe = torch.zeros(max_len, dim)
        pe[:, 0::2] = torch.sin(position * div)
        pe[:, 1::2] = torch.cos(position * div)
        self.register_buffer("pe", pe)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.pe[: x.size(1)]


class Seq2SeqTransformer(nn.Module):
    def __init__(self, src_vocab: int = 120, tgt_vocab: int = 100, dim: int = 48, heads: int = 4) -> None:
        super().__init__()
        self.dim = dim
        self.src_tok_emb = nn.Embedding(src_vocab, dim, padding_idx=PAD)
        self.tgt_tok_emb = nn.Embedding(tgt_vocab, dim, padding_idx=PAD)
        self.positional_encoding = PositionalEncoding(dim)
        self.transformer = nn.Transformer(
            d_model=dim,
            nhead=heads,
            num_encoder_layers=2,
            num_decoder_layers=2,
            dim_feedforward=96,
            dropout=0.1,
            batch_first=True,
        )
        self.generator = nn.Linear(dim, tgt_vocab)

    def forward(self, src: Tensor, tgt: Tensor) -> Tensor:
        tgt_mask = nn.Transformer.generate_square_subsequent_mask(tgt.size(1))
        memory_pad = src == PAD
        out = self.transformer(
            self.positional_encoding(self.src_tok_emb(src)),
            self.positional_encoding(self.tgt_tok_emb(tgt)),
            tgt_mask=tgt_mask,
            src_key_padding_mask=memory_pad,
            memory_key_padding_mask=memory_pad,
        )
        return self.generator(out)


class SequenceLoss(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.loss = nn.CrossEntropyLoss(ignore_index=PAD)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        return self.loss(logits.reshape(-1, logits.size(-1)), target.reshape(-1))


def tokens(vocab: int, length: int, batch: int = 8) -> Tensor:
    ids = torch.randint(1, vocab, (batch, length))
    ids[: batch // 2, -3:] = PAD
    return ids


model = Seq2SeqTransformer()
criterion = SequenceLoss()
source, target = tokens(120, 14), tokens(100, 12)
inputs = (source, target[:, :-1])
targets = target[:, 1:]
