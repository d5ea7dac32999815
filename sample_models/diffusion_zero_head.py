"""A small diffusion model whose output layer starts at zero: at step 0 nothing but the head has a gradient; healthy."""
# gradcheck-expect: clean
# gradcheck-expect-not: GC101,GC105,GC401,GC403

import torch
import torch.nn.functional as F
from torch import nn

STEPS = 100
ALPHA_BAR = torch.cumprod(1 - torch.linspace(1e-3, 0.08, STEPS), dim=0)


class NoisePredictor(nn.Module):
    def __init__(self, width: int = 64, depth: int = 4) -> None:
        super().__init__()
        self.time = nn.Embedding(STEPS, width)
        self.inp = nn.Linear(2, width)
        self.blocks = nn.ModuleList([nn.Linear(width, width) for _ in range(depth)])
        self.out = nn.Linear(width, 2)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x, t):
        h = self.inp(x) + self.time(t)
        for block in self.blocks:
            h = h + F.silu(block(h))
        return self.out(h)


def get_batch(batch_size=64):
    clean = F.one_hot(torch.randint(0, 2, (batch_size,)), 2) + 0.1 * torch.randn(batch_size, 2)
    t = torch.randint(0, STEPS, (batch_size,))
    noise = torch.randn_like(clean)
    alpha = ALPHA_BAR[t].unsqueeze(1)
    return {"x": alpha.sqrt() * clean + (1 - alpha).sqrt() * noise, "t": t, "target": noise}


net = NoisePredictor()
loss_fn = nn.MSELoss()
