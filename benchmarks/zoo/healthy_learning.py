"""Healthy training steps that are more than a model and a loss: contrastive, self-distilled, reinforcement, multi-task."""

from __future__ import annotations

import copy
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradcheck_cli.loading.base import Batch, Outcome
from zoo.batches import images, values, vectors
from zoo.cases import Case, custom, healthy
from zoo.healthy_tabular import mlp


def encoder(out: int = 32) -> nn.Module:
    """Three strided convolutions with BatchNorm and global pooling."""
    layers: list[nn.Module] = []
    for a, b in ((3, 16), (16, 32), (32, 48)):
        layers += [nn.Conv2d(a, b, 3, 2, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(48, out))


def projector(inputs: int = 32, hidden: int = 64, out: int = 24) -> nn.Module:
    """Linear, BatchNorm, ReLU, linear."""
    return nn.Sequential(nn.Linear(inputs, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, out))


def two_views(x: Tensor) -> tuple[Tensor, Tensor]:
    """Two noisy copies of the same images."""
    return x + 0.3 * torch.randn_like(x), x + 0.3 * torch.randn_like(x)


def info_nce(a: Tensor, b: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Contrastive loss: the partner of each sample among all of the batch."""
    logits = F.normalize(a, dim=-1) @ F.normalize(b, dim=-1).T / temperature
    target = torch.arange(len(a))
    return F.cross_entropy(logits, target), logits


def _contrast(model: nn.Module, batch: Batch) -> Outcome:
    a, b = two_views(batch.args[0])
    loss, logits = info_nce(model(a), model(b), 0.5)
    return Outcome(loss=loss, output=logits)


def _triplet(model: nn.Module, batch: Batch) -> Outcome:
    x = batch.args[0]
    anchor, positive = (model(v) for v in two_views(x))
    negative = model(x.roll(1, 0))
    return Outcome(loss=F.triplet_margin_loss(anchor, positive, negative), output=anchor)


class CLIP(nn.Module):
    """Two towers and a learned temperature."""

    def __init__(self):
        super().__init__()
        self.image, self.text = encoder(), nn.Sequential(nn.Linear(10, 48), nn.ReLU(), nn.Linear(48, 32))
        self.scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        a, b = F.normalize(self.image(x), dim=-1), F.normalize(self.text(F.one_hot(y, 10).float()), dim=-1)
        logits = self.scale.exp() * a @ b.T
        return logits, logits.T


def _clip(model: nn.Module, batch: Batch) -> Outcome:
    rows, columns = model(batch.args[0], batch.target)
    target = torch.arange(len(rows))
    return Outcome(loss=(F.cross_entropy(rows, target) + F.cross_entropy(columns, target)) / 2, output=rows)


class BYOL(nn.Module):
    """Online network with predictor; the target network is a frozen copy."""

    def __init__(self, frozen: bool = True):
        super().__init__()
        self.online = nn.Sequential(encoder(), projector())
        self.predictor = projector(24, 48, 24)
        self.target = copy.deepcopy(self.online).requires_grad_(not frozen)

    def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            goal = self.target(b)
        return self.predictor(self.online(a)), goal


def _byol(model: nn.Module, batch: Batch) -> Outcome:
    a, b = two_views(batch.args[0])
    p, z = model(a, b)
    q, y = model(b, a)
    loss = 4 - 2 * F.cosine_similarity(p, z).mean() - 2 * F.cosine_similarity(q, y).mean()
    return Outcome(loss=loss, output=p)


class SimSiam(nn.Module):
    """One network, stop-gradient on one side."""

    def __init__(self):
        super().__init__()
        self.encoder, self.predictor = nn.Sequential(encoder(), projector()), projector(24, 48, 24)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = self.encoder(x)
        return self.predictor(z), z.detach()


def _simsiam(model: nn.Module, batch: Batch) -> Outcome:
    a, b = two_views(batch.args[0])
    (p, z), (q, y) = model(a), model(b)
    loss = -(F.cosine_similarity(p, y).mean() + F.cosine_similarity(q, z).mean()) / 2
    return Outcome(loss=loss, output=p)


class Masked(nn.Module):
    """Masked autoencoder on vectors of patches: the encoder sees half, the decoder gets mask tokens for the rest."""

    def __init__(self, dim: int = 48):
        super().__init__()
        self.embed, self.pos = nn.Linear(192, dim), nn.Parameter(torch.randn(1, 16, dim) * 0.02)
        self.mask = nn.Parameter(torch.zeros(1, 1, dim))
        layer = nn.TransformerEncoderLayer(dim, 4, 96, 0.0, "gelu", batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, nn.LayerNorm(dim), enable_nested_tensor=False)
        self.decoder = nn.TransformerEncoder(layer, 1, nn.LayerNorm(dim), enable_nested_tensor=False)
        self.head = nn.Linear(dim, 192)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        patches = x.unfold(2, 8, 8).unfold(3, 8, 8).permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2)
        order = torch.rand(len(x), 16).argsort(1)
        seen, hidden = order[:, :8, None], order[:, 8:, None]
        tokens = self.embed(patches) + self.pos
        z = self.encoder(tokens.gather(1, seen.expand(-1, -1, tokens.shape[-1])))
        full = self.mask.expand(len(x), 16, -1).scatter(1, seen.expand(-1, -1, z.shape[-1]), z) + self.pos
        return self.head(self.decoder(full)), patches, hidden


def _reconstruct(model: nn.Module, batch: Batch) -> Outcome:
    made, patches, hidden = model(batch.args[0])
    error = ((made - patches) ** 2).mean(-1).gather(1, hidden[..., 0])
    return Outcome(loss=error.mean(), output=made, target=patches)


class DuelingQ(nn.Module):
    """Dueling deep Q network with a frozen target copy of its body."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
        self.value, self.advantage = nn.Linear(64, 1), nn.Linear(64, 4)
        self.target = copy.deepcopy(self.body).requires_grad_(False)

    def forward(self, x: Tensor, target: bool = False) -> Tensor:
        h = (self.target if target else self.body)(x)
        advantage = self.advantage(h)
        return self.value(h) + advantage - advantage.mean(-1, keepdim=True)


def _temporal_difference(model: nn.Module, batch: Batch) -> Outcome:
    state, after = batch.args[0].chunk(2, -1)
    action = torch.randint(0, 4, (len(state), 1))
    with torch.no_grad():
        goal = torch.sin(state[:, :1]) + 0.9 * model(after, target=True).amax(-1, keepdim=True)
    value = model(state).gather(1, action)
    return Outcome(loss=F.smooth_l1_loss(value, goal), output=value, target=goal)


class ActorCritic(nn.Module):
    """Shared tanh body of orthogonal initialisation; the policy head starts a hundred times smaller."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(32, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh())
        self.policy, self.value = nn.Linear(64, 6), nn.Linear(64, 1)
        for layer, gain in ((self.body[0], 2**0.5), (self.body[2], 2**0.5), (self.policy, 0.01), (self.value, 1.0)):
            nn.init.orthogonal_(layer.weight, gain)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.body(x)
        return self.policy(h), self.value(h)


def _policy_gradient(model: nn.Module, batch: Batch) -> Outcome:
    logits, value = model(batch.args[0])
    policy = torch.distributions.Categorical(logits=logits)
    action = policy.sample()
    advantage = batch.target - value
    loss = -(policy.log_prob(action)[:, None] * advantage.detach()).mean() + 0.5 * (advantage**2).mean()
    return Outcome(loss=loss - 0.01 * policy.entropy().mean(), output=logits)


class Distilled(nn.Module):
    """A student that imitates a frozen teacher."""

    def __init__(self):
        super().__init__()
        self.teacher, self.student = mlp(3, nn.ReLU, 96, "he").requires_grad_(False), mlp(2, nn.ReLU, 48)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.student(x), self.teacher(x)


def _distil(model: nn.Module, batch: Batch) -> Outcome:
    student, teacher = model(batch.args[0])
    soft = F.kl_div(F.log_softmax(student / 2, -1), F.softmax(teacher / 2, -1), reduction="batchmean") * 4
    return Outcome(loss=0.5 * F.cross_entropy(student, batch.target) + 0.5 * soft, output=student, target=batch.target)


class EarlyExits(nn.Module):
    """A head after every block, and a third task that this batch has no labels for."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(32, 32), nn.LayerNorm(32), nn.ReLU()) for _ in range(4))
        self.heads = nn.ModuleList(nn.Linear(32, 10) for _ in range(4))
        self.boxes = nn.Linear(32, 4)

    def forward(self, x: Tensor) -> dict[str, list[Tensor] | Tensor]:
        logits = []
        for block, head in zip(self.blocks, self.heads, strict=True):
            x = block(x)
            logits.append(head(x))
        return {"logits": logits, "boxes": self.boxes(x)}


def _all_exits(model: nn.Module, batch: Batch) -> Outcome:
    output = model(batch.args[0])
    losses = [F.cross_entropy(logits, batch.target) for logits in output["logits"]]
    return Outcome(loss=torch.stack(losses).sum(), output=output, target=batch.target)


_IMAGES = images(24)
CASES: tuple[Case, ...] = (
    healthy("simclr", "training-step", lambda: nn.Sequential(encoder(), projector()), _IMAGES, custom(_contrast),
            mechanism="12"),
    healthy("triplet", "training-step", encoder, _IMAGES, custom(_triplet), mechanism="12"),
    healthy("clip", "training-step", CLIP, _IMAGES, custom(_clip)),
    healthy("byol", "training-step", BYOL, _IMAGES, custom(_byol), mechanism="5,12"),
    healthy("byol-target-unfrozen", "training-step", lambda: BYOL(False), _IMAGES, custom(_byol), mechanism="5,12",
            allowed=["GC401"], defence="the target's parameters ask for gradients that no path brings: worth a line"),
    healthy("simsiam", "training-step", SimSiam, _IMAGES, custom(_simsiam), mechanism="12"),
    healthy("masked-autoencoder", "training-step", Masked, images(12), custom(_reconstruct), mechanism="3,4"),
    healthy("dueling-dqn", "training-step", DuelingQ, values(64, 32), custom(_temporal_difference), mechanism="5"),
    healthy("actor-critic", "training-step", ActorCritic, values(64, 32), custom(_policy_gradient)),
    healthy("distillation", "training-step", Distilled, vectors(), custom(_distil)),
    healthy("early-exits", "training-step", EarlyExits, vectors(), custom(_all_exits), mechanism="5"),
)  # fmt: skip
