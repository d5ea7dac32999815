"""What must not change a verdict: the size of the loss, the order of the batch, the number of threads, another run."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gradcheck_cli.loading.base import Batch, Objective, Outcome, Subject
from gradcheck_cli.pipeline import examine
from gradcheck_cli.probing.probe import probe
from gradcheck_cli.rules.judge import judge
from gradcheck_cli.settings import Settings

ROOT = Path(__file__).parents[1]


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def labels(count, classes):
    return torch.randint(0, classes, (count,), generator=torch.Generator().manual_seed(1))


def stack(activation, depth, width=32, inputs=8, outputs=5, std=None):
    layers = []
    for i in range(depth):
        layers += [nn.Linear(inputs if i == 0 else width, width), activation()]
    model = nn.Sequential(*layers, nn.Linear(width, outputs))
    if std is not None:
        for p in model.parameters():
            nn.init.normal_(p, std=std) if p.ndim > 1 else nn.init.zeros_(p)
    return model


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.head, self.scale = (
            nn.Conv2d(3, 16, 3, padding=1),
            nn.Linear(16, 5),
            nn.Parameter(torch.full((16, 1, 1), 1e-4)),
        )
        self.first, self.norm, self.second = (
            nn.Conv2d(16, 16, 3, padding=1),
            nn.BatchNorm2d(16),
            nn.Conv2d(16, 16, 3, padding=1),
        )

    def forward(self, x):
        x = F.relu(self.stem(x))
        x = x + self.scale * self.second(F.relu(self.norm(self.first(x))))
        return self.head(x.mean((2, 3)))


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True, norm_first=True)
        self.stem, self.body, self.head = (
            nn.Linear(6, 16),
            nn.TransformerEncoder(layer, 2, enable_nested_tensor=False),
            nn.Linear(16, 5),
        )

    def forward(self, x):
        return self.head(self.body(self.stem(x)).mean(1))


class Sequence(nn.Module):
    def __init__(self, kind, **options):
        super().__init__()
        self.rnn, self.head = kind(6, 24, batch_first=True, **options), nn.Linear(24, 5)

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1])


class Cut(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = stack(nn.ReLU, 2, outputs=16), nn.Linear(16, 5)

    def forward(self, x):
        return self.head(self.body(x).detach())


class Dead(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(8, 32), nn.Linear(32, 5)
        nn.init.constant_(self.body.bias, -20.0)
        with torch.no_grad():
            self.body.bias[:3] = 0.0

    def forward(self, x):
        return self.head(torch.relu(self.body(x)))


class Broken(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(8, 16), nn.Linear(16, 5)

    def forward(self, x):
        return self.head(torch.log(torch.relu(self.body(x))))


WIDE = normal(64, 1024)  # large enough that torch divides the work between threads
MODELS = {  # name: (model, input, codes that must be raised)
    "mlp": (lambda: nn.Sequential(nn.Linear(1024, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Linear(512, 5)), WIDE, set()),
    "residual convolutions": (Residual, normal(16, 3, 24, 24), set()),
    "transformer": (Attention, normal(16, 10, 6), set()),
    "lstm": (lambda: Sequence(nn.LSTM), normal(16, 20, 6), set()),
    "deep sigmoid": (lambda: stack(nn.Sigmoid, 14), normal(32, 8), {"GC101"}),
    "weights too large": (lambda: stack(nn.ReLU, 10, std=1.0), normal(32, 8), {"GC102"}),
    "weights too small": (lambda: stack(nn.Tanh, 10, std=0.01), normal(32, 8), {"GC101"}),
    "long plain rnn": (lambda: Sequence(nn.RNN), normal(16, 90, 6), {"GC103"}),
    "cut": (Cut, normal(32, 8), {"GC401"}),
    "dead": (Dead, normal(32, 8), {"GC201"}),
    "huge feature": (lambda: stack(nn.ReLU, 2), normal(32, 8) * torch.tensor([1.0] * 7 + [1e5]), {"GC601"}),
    "two softmaxes": (lambda: nn.Sequential(stack(nn.ReLU, 2), nn.Softmax(1)), normal(32, 8), {"GC605"}),
    "nan": (Broken, normal(32, 8), {"GC501"}),
}


def subject(name, factor=1.0, order=None):
    torch.manual_seed(0)
    build, x, _ = MODELS[name]
    y = labels(len(x), 5)
    if order is not None:
        x, y = x[order], y[order]

    def compute(model, batch):
        output = model(*batch.args)
        return Outcome(loss=F.cross_entropy(output, batch.target) * factor, output=output, target=batch.target)

    return Subject(
        model=build(),
        batches=(Batch(args=(x.clone(),), target=y),),
        objectives=(Objective(name="loss", kind="cross_entropy", origin="test", compute=compute),),
        optimizer=None,  # its step on a larger loss may be a larger one, which GC106 says
        sites={},
        target=name,
    )


def verdict(made):
    return [(f.code, f.severity, f.layer) for f in examine(made, Settings(target="test", no_try=True)).findings]


@pytest.fixture(scope="module")
def plain():
    return {name: verdict(subject(name)) for name in MODELS}


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("name", MODELS)
def test_the_models_are_what_they_are_taken_for(plain, name):
    raised = {code for code, severity, _ in plain[name] if severity != "note"}
    assert raised >= MODELS[name][2]
    assert bool(raised) == bool(MODELS[name][2])


@pytest.mark.parametrize("factor", [1e-4, 1e4])
@pytest.mark.parametrize("name", MODELS)
def test_the_size_of_the_loss(plain, name, factor):
    assert verdict(subject(name, factor=factor)) == plain[name]


@pytest.mark.parametrize("name", MODELS)
def test_the_order_of_the_batch(plain, name):
    count = len(MODELS[name][1])
    assert verdict(subject(name, order=torch.randperm(count, generator=torch.Generator().manual_seed(2)))) == plain[name]


@pytest.mark.parametrize("name", ["mlp", "residual convolutions", "deep sigmoid", "weights too large", "huge feature", "nan"])
def test_the_number_of_threads(name):
    """The first look only: twenty steps of tiny layers on two threads take a minute where the cores are busy."""
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        made, settings = subject(name), Settings(target="test")
        raised = judge((probe(made, made.objectives[0], settings),), settings)
        found.append([(f.code, f.severity, f.layer) for f in raised])
    assert found[0] == found[1]
    assert {code for code, _, _ in found[0]} >= MODELS[name][2]


def test_the_same_again_is_the_same_to_the_last_bit():
    reports = [examine(subject("weights too small"), Settings(target="test", try_budget=600.0)) for _ in range(2)]
    assert repr(reports[0]) == repr(reports[1])
    assert math.isfinite(reports[0].profiles[0].objective.value)


def test_two_runs_write_the_same_bytes(tmp_path):
    """In processes of their own, as a person or CI runs them."""
    files = [tmp_path / name for name in ("one.json", "other.json")]
    for file in files:
        command = [
            sys.executable,
            "-m",
            "gradcheck_cli",
            "scan",
            "sample_models/deep_sigmoid_mlp.py",
            "--format",
            "json",
            "--try-budget",
            "600",
            "-o",
            str(file),
        ]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False)
        assert done.returncode == 1, done.stderr
    assert files[0].read_bytes() == files[1].read_bytes()
    assert b"GC101" in files[0].read_bytes()
