"""Evidence that the sick networks of the zoo are sick, measured with plain PyTorch and nothing of gradcheck's own.

    python benchmarks/evidence.py          one line a network: the number that shows its disease
    python benchmarks/evidence.py rnn      only names that contain a word

A network is sick if one of its expected codes has its sign here. Codes that are read off the code itself (a missing
activation, a loss that does not fit) count as shown by construction. Exit code 1 when a network has no evidence.
"""

from __future__ import annotations

import math
import os
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent))

import torch
from torch import Tensor, nn
from zoo.cases import Case
from zoo.catalogue import SICK, load_cases

from gradcheck_cli.loading.base import Batch, Subject

BY_CONSTRUCTION = frozenset({"GC406", "GC503", "GC504", "GC604", "GC605"})
_LINEAR = (nn.Linear, nn.Conv2d)
_RECTIFIERS, _BOUNDED = (nn.ReLU, nn.ReLU6), (nn.Tanh, nn.Sigmoid, nn.Hardtanh)


@dataclass
class Seen:
    """What one forward and backward pass shows."""

    outputs: list[Tensor] = field(default_factory=list)  # of linear layers and convolutions, input side first
    dead: float = 0.0  # largest share of units of a rectifier that are zero on the whole batch
    flat: float = 0.0  # largest share of values of a bounded activation near its ends
    loss: float = math.nan
    output: Tensor | None = None


def observe(subject: Subject) -> Seen:
    """Run one training step's passes with ordinary hooks."""
    seen = Seen()

    def look(module: nn.Module, _inputs: object, output: Tensor) -> None:
        if isinstance(module, _LINEAR) and output.requires_grad:
            output.retain_grad()
            seen.outputs.append(output)
        elif isinstance(module, _RECTIFIERS):
            off = (output == 0).all(0) if output.dim() == 2 else (output == 0).transpose(0, 1).flatten(1).all(1)
            seen.dead = max(seen.dead, off.float().mean().item())
        elif isinstance(module, _BOUNDED):
            low, high = (0.0, 1.0) if isinstance(module, nn.Sigmoid) else (-1.0, 1.0)
            near = 0.0125 * (high - low)  # the derivative there is 5 % of its best
            seen.flat = max(seen.flat, ((output < low + near) | (output > high - near)).float().mean().item())

    handles = [m.register_forward_hook(look) for m in subject.model.modules()]
    outcome = subject.objectives[0].compute(subject.model, subject.batches[0])
    if outcome.loss.requires_grad:
        outcome.loss.backward()
    for handle in handles:
        handle.remove()
    seen.loss, seen.output = outcome.loss.item(), outcome.output.detach() if isinstance(outcome.output, Tensor) else None
    return seen


def depth_decades(_subject: Subject, seen: Seen) -> float:
    """log10 of the gradient at the first linear layer's output over that at the last one's."""
    norms = [o.grad.double().norm().item() for o in seen.outputs if o.grad is not None]
    return math.log10(max(norms[0], 1e-300) / max(norms[-1], 1e-300)) if len(norms) > 1 else 0.0


def time_decades(subject: Subject, _seen: Seen) -> float:
    """log10 of the last output's gradient at the first time step of the input (or embedding) over that at the last."""
    batch, model = subject.batches[0], subject.model.double()
    kept: list[Tensor] = []
    embedding = next((m for m in model.modules() if isinstance(m, nn.Embedding)), None)
    if embedding is not None:
        embedding.register_forward_hook(lambda _m, _i, output: kept.append(output.detach().requires_grad_()) or kept[0])
        args = batch.args
    else:
        kept.append(batch.args[0].detach().double().requires_grad_())
        args = (kept[0],)
    output = model(*args)
    output = output[:, -1] if output.dim() == 3 else output
    torch.manual_seed(0)
    (slope,) = torch.autograd.grad((output * torch.randn_like(output)).sum(), kept[0])
    sizes = slope.norm(dim=(0, 2))
    return math.log10(max(sizes[0].item(), 1e-300) / max(sizes[-1].item(), 1e-300))


def variation(_subject: Subject, seen: Seen) -> float:
    """How much the output differs between samples, relative to its size."""
    y = seen.output.flatten(1).double()
    return ((y - y.mean(0)).norm() / y.norm().clamp_min(1e-300)).item()


def same_for_noise(subject: Subject, seen: Seen) -> float:
    """Largest change of the output when the input is replaced by noise."""
    batch = subject.batches[0]
    other = Batch(args=tuple(torch.randn_like(a) if a.is_floating_point() else a for a in batch.args), target=batch.target)
    with torch.no_grad():
        return (subject.objectives[0].compute(subject.model, other).output - seen.output).abs().max().item()


def without_gradient(subject: Subject, _seen: Seen) -> float:
    """Share of the trainable values whose gradient is missing or zero."""
    trainable = [p for p in subject.model.parameters() if p.requires_grad]
    silent = sum(p.numel() for p in trainable if p.grad is None or not p.grad.any())
    return silent / sum(p.numel() for p in trainable)


def scale_ratio(subject: Subject, _seen: Seen) -> float:
    """Largest over median gain (RMS · √fan-in) of the weight matrices, or median over smallest; query rows on their own."""
    weights = [w for m in subject.model.modules() if isinstance(m, _LINEAR) for w in m.weight.chunk(3)]
    gains = sorted(w.detach().double().pow(2).mean().sqrt().item() * w[0].numel() ** 0.5 for w in weights)
    middle = gains[len(gains) // 2]
    return max(gains[-1] / middle, middle / max(gains[0], 1e-300))


def equal_rows(subject: Subject, _seen: Seen) -> float:
    """Share of the hidden weight matrices whose rows are all equal."""
    weights = [m.weight for m in subject.model.modules() if isinstance(m, _LINEAR)][:-1]
    return sum(bool((w == w[:1]).all()) for w in weights) / max(len(weights), 1)


def update_size(subject: Subject, _seen: Seen) -> float:
    """Median ratio of the optimizer's first update to the weight, in decades from 1e-3 (SGD: lr·g, Adam: lr)."""
    spec = subject.optimizer
    weights = [p for p in subject.model.parameters() if p.dim() > 1]
    steps = [(spec.lr * p.grad.norm() if spec.name == "SGD" else spec.lr * p.numel() ** 0.5) / p.norm() for p in weights]
    return abs(math.log10(sorted(s.item() for s in steps)[len(steps) // 2]) + 3)


def input_scale(subject: Subject, _seen: Seen) -> float:
    """RMS of the input, or of its largest feature over the median one's, whichever is larger."""
    x = subject.batches[0].args[0].double()
    features = x.transpose(0, 1).flatten(1).pow(2).mean(1).sqrt()
    return max(x.pow(2).mean().sqrt().item(), (features.max() / features.median()).item() / 10)


def broken(subject: Subject, seen: Seen) -> float:
    """Number of NaN and infinite values in loss, data and gradients."""
    tensors = [p.grad for p in subject.model.parameters() if p.grad is not None]
    tensors += [t for t in (*subject.batches[0].args, subject.batches[0].target) if isinstance(t, Tensor)]
    return sum((~torch.isfinite(t)).sum().item() for t in tensors) + (not math.isfinite(seen.loss))


def target_excess(subject: Subject, seen: Seen) -> float:
    """Largest absolute target over the largest absolute output, or how far targets leave [0, 1]."""
    y = subject.batches[0].target.double()
    return max((y.abs().max() / seen.output.abs().max().clamp_min(1.0)).item(), -y.min().item() * 10, y.max().item())


def loss_ratio(_subject: Subject, seen: Seen) -> float:
    """First loss over ln C."""
    return seen.loss / math.log(seen.output.shape[1])


Measure = Callable[[Subject, Seen], float]
SIGNS: dict[str, tuple[Measure, Callable[[float], bool], str]] = {
    "GC101": (depth_decades, lambda x: x <= -2.5, "decades of gradient, first over last layer"),
    "GC102": (depth_decades, lambda x: x >= 2.0, "decades of gradient, first over last layer"),
    "GC103": (time_decades, lambda x: x <= -10.0, "decades of gradient, first over last step"),
    "GC104": (time_decades, lambda x: x >= 2.0, "decades of gradient, first over last step"),
    "GC105": (without_gradient, lambda x: x >= 0.3, "share of values without gradient"),
    "GC106": (update_size, lambda x: x >= 2.9, "decades from a step of 1e-3"),
    "GC201": (lambda _, seen: seen.dead, lambda x: x >= 0.8, "share of units that are off"),
    "GC202": (lambda _, seen: seen.flat, lambda x: x >= 0.5, "share of values in the flat part"),
    "GC203": (variation, lambda x: x <= 0.02, "output's variation between samples"),
    "GC301": (scale_ratio, lambda x: x >= 10.0, "times the median gain"),
    "GC302": (equal_rows, lambda x: x == 1.0, "share of matrices with equal rows"),
    "GC401": (without_gradient, lambda x: x > 0.01, "share of values without gradient"),
    "GC403": (without_gradient, lambda x: x == 1.0, "share of values without gradient"),
    "GC405": (same_for_noise, lambda x: x == 0.0, "change of the output under another input"),
    "GC501": (broken, lambda x: x > 0, "values that are not finite"),
    "GC502": (broken, lambda x: x > 0, "values that are not finite"),
    "GC601": (input_scale, lambda x: x >= 10.0, "times the usual input scale"),
    "GC602": (loss_ratio, lambda x: x >= 10.0, "times ln C"),
    "GC603": (broken, lambda x: x > 0, "values that are not finite"),
    "GC606": (target_excess, lambda x: x > 1.1, "targets over what the output reaches"),
    "GC607": (target_excess, lambda x: x > 100, "targets over outputs"),
}


def evidence(case: Case) -> tuple[bool, str]:
    """Say whether any expected code shows its sign, with the number."""
    if case.expect & BY_CONSTRUCTION:
        return True, "by construction"
    said = []
    for code in sorted(case.expect):
        measure, shows, unit = SIGNS[code]
        subject = case.build(0)
        value = measure(subject, observe(subject))
        said.append(f"{code} {value:.3g} {unit}")
        if shows(value):
            return True, said[-1]
    return False, "; ".join(said)


def main() -> int:
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    lacking = 0
    for name, case in load_cases(SICK).items():
        if word in name:
            shown, words = evidence(case)
            lacking += not shown
            print(f"{'sick' if shown else 'NO EVIDENCE'}  {name}: {words}")
    print(f"{lacking} networks without evidence")
    return int(lacking > 0)


if __name__ == "__main__":
    sys.exit(main())
