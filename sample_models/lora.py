"""Low-rank adapters on a frozen network: B starts at zero, so that every A has a zero gradient at step 0; healthy."""
# gradcheck-expect: clean
# gradcheck-expect-not: GC101,GC105,GC401

import math

import torch
from torch import Tensor, nn


class LoRALinear(nn.Module):
    """A frozen linear layer W plus a trainable update scale · B A."""

    def __init__(self, base: nn.Linear, rank: int = 4, alpha: float = 8.0) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.lora_A = nn.Parameter(torch.empty(rank, base.in_features))
        self.lora_B = nn.Parameter(torch.zeros(base.out_features, rank))
        nn.init.kaiming_uniform_(self.lora_A, a=math.sqrt(5))
        self.scaling = alpha / rank

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + (x @ self.lora_A.T @ self.lora_B.T) * self.scaling


class Encoder(nn.Module):
    def __init__(self, vocab: int = 200, dim: int = 48, depth: int = 3) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocab, dim)
        self.norms = nn.ModuleList([nn.LayerNorm(dim) for _ in range(depth)])
        self.up = nn.ModuleList([nn.Linear(dim, 2 * dim) for _ in range(depth)])
        self.down = nn.ModuleList([nn.Linear(2 * dim, dim) for _ in range(depth)])
        self.score = nn.Linear(dim, 2)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens)
        for norm, up, down in zip(self.norms, self.up, self.down, strict=True):
            x = x + down(nn.functional.silu(up(norm(x))))
        return self.score(x.mean(dim=1))


def add_lora(model: Encoder, rank: int = 4) -> Encoder:
    model.requires_grad_(False)
    for i in range(len(model.up)):
        model.up[i] = LoRALinear(model.up[i], rank)
        model.down[i] = LoRALinear(model.down[i], rank)
    model.score.requires_grad_(True)
    return model


model = add_lora(Encoder())
loss_fn = nn.CrossEntropyLoss()
x = torch.randint(0, 200, (32, 12))
y = torch.randint(0, 2, (32,))
optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3)
