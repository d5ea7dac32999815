"""A physics-informed network: its loss takes a derivative by `torch.autograd.grad` before the backward pass; healthy."""
# gradcheck-expect: clean
# gradcheck-expect-not: GC405

import torch
from torch import nn


class Solution(nn.Module):
    def __init__(self, hidden: int = 32) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(1, hidden),
            nn.Tanh(),
            nn.Linear(hidden, hidden),
            nn.Tanh(),
            nn.Linear(hidden, 1),
        )

    def forward(self, t):
        return self.net(t)


def decay_equation(model, t):
    """u' = -u with u(0) = 1."""
    t = t.clone().requires_grad_(True)
    u = model(t)
    (du,) = torch.autograd.grad(u.sum(), t, create_graph=True)
    start = model(torch.zeros(1, 1))
    return (du + u).pow(2).mean() + (start - 1).pow(2).mean()


model = Solution()
losses = {"residual": decay_equation}
batch = torch.linspace(0, 2, 64).unsqueeze(1)


if __name__ == "__main__":
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=200)

    def closure():
        optimizer.zero_grad()
        loss = decay_equation(model, batch)
        loss.backward()
        return loss

    optimizer.step(closure)
