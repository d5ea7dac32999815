"""Healthy networks on graphs and point clouds, and networks that look up many ids."""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradcheck_cli.loading.base import Batch
from zoo.cases import BINARY, CLASSIFY, REGRESS, Case, MakeBatch, healthy


def graph(nodes: int = 120, features: int = 16, classes: int = 4, edges: float = 1.0) -> MakeBatch:
    """Node features [V, D], dense 0/1 adjacency [V, V] with self-loops that favours equal classes; target [V]."""

    def make() -> Batch:
        y = torch.randint(0, classes, (nodes,))
        same = (y[:, None] == y).float()
        adjacency = (torch.rand(nodes, nodes) < edges * (0.01 + 0.08 * same)).float().triu(1)
        adjacency = adjacency + adjacency.T + torch.eye(nodes)
        return Batch(args=(torch.randn(nodes, features) + F.one_hot(y, features), adjacency), target=y)

    return make


class GCN(nn.Module):
    """Two symmetric-normalised graph convolutions with Glorot weights (Kipf 2017)."""

    def __init__(self, depth: int = 2, width: int = 32):
        super().__init__()
        sizes = [16] + [width] * (depth - 1) + [4]
        self.layers = nn.ModuleList(nn.Linear(a, b, bias=False) for a, b in itertools.pairwise(sizes))
        self.drop = nn.Dropout(0.5)
        for layer in self.layers:
            nn.init.xavier_uniform_(layer.weight)

    def forward(self, x: Tensor, adjacency: Tensor) -> Tensor:
        degree = adjacency.sum(1).rsqrt()
        a = degree[:, None] * adjacency * degree
        for layer in self.layers[:-1]:
            x = self.drop(F.relu(a @ layer(x)))
        return a @ self.layers[-1](x)


class GAT(nn.Module):
    """Two layers of graph attention, four heads (Velickovic 2018)."""

    def __init__(self, heads: int = 4, width: int = 8):
        super().__init__()
        self.heads = heads
        self.w1, self.w2 = nn.Linear(16, heads * width, bias=False), nn.Linear(heads * width, heads * 4, bias=False)
        self.a1, self.a2 = (nn.Parameter(torch.empty(2, heads, d)) for d in (width, 4))
        for p in (self.w1.weight, self.w2.weight, self.a1, self.a2):
            nn.init.xavier_uniform_(p)

    def attend(self, h: Tensor, a: Tensor, adjacency: Tensor) -> Tensor:
        h = h.view(len(h), self.heads, -1)
        left, right = ((h * side).sum(-1) for side in a)
        scores = F.leaky_relu(left[:, None] + right[None], 0.2).masked_fill(adjacency[..., None] == 0, float("-inf"))
        return torch.einsum("vuh,uhd->vhd", torch.softmax(scores, 1), h)

    def forward(self, x: Tensor, adjacency: Tensor) -> Tensor:
        x = F.elu(self.attend(self.w1(x), self.a1, adjacency).flatten(1))
        return self.attend(self.w2(x), self.a2, adjacency).mean(1)


class GIN(nn.Module):
    """Three sum aggregations, each followed by an MLP with BatchNorm (Xu 2019)."""

    def __init__(self, width: int = 32):
        super().__init__()
        self.epsilon = nn.Parameter(torch.zeros(3))
        self.mlps = nn.ModuleList(
            nn.Sequential(nn.Linear(16 if i == 0 else width, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, width))
            for i in range(3)
        )
        self.head = nn.Linear(width, 4)

    def forward(self, x: Tensor, adjacency: Tensor) -> Tensor:
        for eps, mlp in zip(self.epsilon, self.mlps, strict=True):
            x = F.relu(mlp(adjacency @ x + eps * x))
        return self.head(x)


class MessagePassing(nn.Module):
    """Edge network, sum of messages, GRU update shared by four rounds (Gilmer 2017)."""

    def __init__(self, width: int = 24):
        super().__init__()
        self.embed, self.head = nn.Linear(16, width), nn.Linear(width, 4)
        self.message = nn.Sequential(nn.Linear(2 * width, width), nn.ReLU(), nn.Linear(width, width))
        self.update = nn.GRUCell(width, width)

    def forward(self, x: Tensor, adjacency: Tensor) -> Tensor:
        h = torch.tanh(self.embed(x))
        target, source = adjacency.nonzero(as_tuple=True)
        for _ in range(4):
            message = self.message(torch.cat([h[target], h[source]], -1))
            total = torch.zeros_like(h).index_add(0, target, message)
            h = self.update(total / adjacency.sum(1, keepdim=True), h)
        return self.head(h)


def clouds(n: int = 12, points: int = 64) -> MakeBatch:
    """Points [N, P, 3] on boxes of five shapes; target [N]."""

    def make() -> Batch:
        y = torch.randint(0, 5, (n,))
        stretch = torch.stack([1 + y % 3, 1 + y // 2, 1 + y % 2], -1).float() / 2
        return Batch(args=(torch.randn(n, points, 3) * stretch[:, None],), target=y)

    return make


class PointNet(nn.Module):
    """A transform net that starts as the identity, shared MLPs, maximum over points."""

    def __init__(self):
        super().__init__()
        self.t_features, self.t_head = self.shared(3, 32, 64), nn.Linear(64, 9)
        nn.init.zeros_(self.t_head.weight)
        nn.init.zeros_(self.t_head.bias)
        self.features = self.shared(3, 32, 32, 96)
        self.head = nn.Sequential(nn.Linear(96, 48), nn.BatchNorm1d(48), nn.ReLU(), nn.Dropout(0.3), nn.Linear(48, 5))

    @staticmethod
    def shared(*sizes: int) -> nn.Sequential:
        """1×1 convolutions with BatchNorm and ReLU."""
        layers: list[nn.Module] = []
        for a, b in itertools.pairwise(sizes):
            layers += [nn.Conv1d(a, b, 1), nn.BatchNorm1d(b), nn.ReLU()]
        return nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        transform = self.t_head(self.t_features(x.transpose(1, 2)).amax(2)).view(-1, 3, 3) + torch.eye(3)
        return self.head(self.features((x @ transform).transpose(1, 2)).amax(2))


class DynamicGraph(nn.Module):
    """DGCNN: edge features of the nearest neighbours, maximum over them."""

    def __init__(self):
        super().__init__()
        self.edge1 = nn.Sequential(nn.Linear(6, 32), nn.LeakyReLU(0.2))
        self.edge2 = nn.Sequential(nn.Linear(64, 48), nn.LeakyReLU(0.2))
        self.head = nn.Linear(80, 5)

    @staticmethod
    def neighbours(x: Tensor, k: int = 8) -> Tensor:
        """Concatenate each point with its offset to its k nearest points: [N, P, K, 2D]."""
        index = torch.cdist(x.detach(), x.detach()).topk(k, largest=False).indices
        near = x[torch.arange(len(x))[:, None, None], index]
        centre = x[:, :, None].expand_as(near)
        return torch.cat([centre, near - centre], -1)

    def forward(self, x: Tensor) -> Tensor:
        a = self.edge1(self.neighbours(x)).amax(2)
        b = self.edge2(self.neighbours(a)).amax(2)
        return self.head(torch.cat([a, b], -1).amax(1))


def clicks(n: int = 64, dense: int = 8, fields: int = 4, rows: int = 3000) -> MakeBatch:
    """Dense features [N, D], one id a field [N, F], and whether it was clicked [N, 1]."""

    def make() -> Batch:
        ids = torch.randint(0, rows, (n, fields))
        x = torch.randn(n, dense)
        return Batch(args=(x, ids), target=((ids[:, :1] % 2).float() + x[:, :1] > 0.5).float())

    return make


class DLRM(nn.Module):
    """Dense MLP, embedding bags, pairwise products, top MLP; `sparse` makes sparse gradients."""

    def __init__(self, sparse: bool = False, dim: int = 16, rows: int = 3000):
        super().__init__()
        self.bottom = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, dim), nn.ReLU())
        self.tables = nn.ModuleList(nn.EmbeddingBag(rows, dim, mode="sum", sparse=sparse) for _ in range(4))
        self.top = nn.Sequential(nn.Linear(dim + 10, 32), nn.ReLU(), nn.Linear(32, 1))
        for table in self.tables:
            nn.init.uniform_(table.weight, -(rows**-0.5), rows**-0.5)

    def forward(self, x: Tensor, ids: Tensor) -> Tensor:
        dense = self.bottom(x)
        vectors = torch.stack([dense, *(table(ids[:, i : i + 1]) for i, table in enumerate(self.tables))], 1)
        products = vectors @ vectors.transpose(1, 2)
        row, column = torch.tril_indices(5, 5, -1)
        return self.top(torch.cat([dense, products[:, row, column]], 1))


class WideAndDeep(nn.Module):
    """A linear part on the ids and a deep part on their embeddings."""

    def __init__(self, dim: int = 12, rows: int = 3000):
        super().__init__()
        self.wide, self.deep = nn.Embedding(rows, 1), nn.Embedding(rows, dim)
        self.mlp = nn.Sequential(nn.Linear(8 + 4 * dim, 48), nn.ReLU(), nn.Linear(48, 24), nn.ReLU(), nn.Linear(24, 1))
        nn.init.normal_(self.wide.weight, std=0.01)
        nn.init.normal_(self.deep.weight, std=0.1)

    def forward(self, x: Tensor, ids: Tensor) -> Tensor:
        return self.wide(ids).sum(1) + self.mlp(torch.cat([x, self.deep(ids).flatten(1)], -1))


def ratings(n: int = 256, users: int = 2000, items: int = 1000) -> MakeBatch:
    """User ids, item ids, and centred ratings [N]."""

    def make() -> Batch:
        user, item = torch.randint(0, users, (n,)), torch.randint(0, items, (n,))
        return Batch(args=(user, item), target=((user % 5 + item % 3).float() - 3) / 1.6)

    return make


class MatrixFactorisation(nn.Module):
    """Product of user and item factors plus biases."""

    def __init__(self, dim: int = 16, users: int = 2000, items: int = 1000):
        super().__init__()
        self.user, self.item = nn.Embedding(users, dim), nn.Embedding(items, dim)
        self.user_bias, self.item_bias = nn.Embedding(users, 1), nn.Embedding(items, 1)
        for table in (self.user, self.item):
            nn.init.normal_(table.weight, std=dim**-0.5)
        for table in (self.user_bias, self.item_bias):
            nn.init.zeros_(table.weight)

    def forward(self, user: Tensor, item: Tensor) -> Tensor:
        product = (self.user(user) * self.item(item)).sum(-1)
        return product + self.user_bias(user)[:, 0] + self.item_bias(item)[:, 0]


CASES: tuple[Case, ...] = (
    healthy("gcn", "graph", GCN, graph(), CLASSIFY),
    healthy("gat", "graph", GAT, graph(), CLASSIFY, mechanism="4"),
    healthy("gin", "graph", GIN, graph(), CLASSIFY, mechanism="3"),
    healthy("message-passing", "graph", MessagePassing, graph(), CLASSIFY, mechanism="12"),
    healthy("pointnet", "points", PointNet, clouds(), CLASSIFY, mechanism="1,3"),
    healthy("dgcnn", "points", DynamicGraph, clouds(), CLASSIFY),
    healthy("dlrm", "lookup", DLRM, clicks(), BINARY, mechanism="8"),
    healthy("dlrm-sparse", "lookup", lambda: DLRM(True), clicks(), BINARY, mechanism="8"),
    healthy("wide-and-deep", "lookup", WideAndDeep, clicks(), BINARY, mechanism="8"),
    healthy("matrix-factorisation", "lookup", MatrixFactorisation, ratings(), REGRESS, mechanism="8"),
)
