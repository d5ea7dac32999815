"""What the loss, the output and the targets say of each other."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import get_gradient_edge

from gradcheck_cli.loading.base import Batch, Objective, Outcome
from gradcheck_cli.probing.calls import Ownership
from gradcheck_cli.probing.graph import Graph, Node
from gradcheck_cli.probing.kinds import PASS_NODES, activation_node, node_name
from gradcheck_cli.probing.statistics import as_dense, summarise
from gradcheck_cli.probing.tensors import named_tensors_in, tensors_in
from gradcheck_cli.probing.variation import variation_between_samples
from gradcheck_cli.records import InputProfile, ObjectiveProfile

_OUTPUT_NAMES = ("logits", "output", "prediction", "pred", "out", "y")


def main_output(output: Any) -> Tensor | None:
    """The tensor that stands for the model's answer: a named one, else the first differentiable one that is no scalar."""
    named = [(n, t) for n, t in named_tensors_in(output) if t.is_floating_point() and t.requires_grad]
    for wanted in _OUTPUT_NAMES:
        for name, tensor in named:
            if name.rsplit(".", 1)[-1] == wanted:
                return tensor
    return next((t for _, t in named if t.ndim > 0), None)


def objective_profile(objective: Objective, outcome: Outcome, graph: Graph, ownership: Ownership) -> ObjectiveProfile:
    """Read the facts of loss, output and target; everything is reduced to numbers here."""
    output, target, value = main_output(outcome.output), _main_target(outcome.target), float(outcome.loss.detach())
    facts: dict[str, Any] = {}
    if output is not None:
        facts.update(_output_facts(output))
        plain = as_dense(output)
        low, high = torch.aminmax(plain.float()) if plain is not None and plain.numel() else (torch.tensor(0.0),) * 2
        facts.update(output=summarise(output, mean=True).to_stats(), output_min=low.item(), output_max=high.item())
        facts["output_units"] = output.shape[-1 if output.is_nested else 1] if output.ndim > 1 else 1
        if output.ndim == 3 and target is not None and target.shape[:2] == output.shape[:2]:
            facts["output_units"] = output.shape[-1]
    if target is not None and target.numel():
        real = target.detach().abs() if target.is_complex() else target.detach()
        facts.update(
            target=summarise(real.float(), mean=True).to_stats(), target_min=real.min().item(), target_max=real.max().item()
        )
    facts["log_softmax_in_loss"] = any(node_name(n) == "logsoftmax" and not ownership.inside(n) for n in graph.order[:32])
    if output is not None and target is not None and not output.is_nested and objective.kind in ("cross_entropy", "nll"):
        facts.update(_class_facts(output.detach(), target.detach(), objective, value))
    return ObjectiveProfile(name=objective.name, kind=objective.kind, origin=objective.origin, value=value, **facts)


def _main_target(target: Any) -> Tensor | None:
    tensors = list(tensors_in(target))
    return tensors[0] if len(tensors) == 1 else None


def _output_facts(output: Tensor) -> dict[str, Any]:
    """The activation that makes the output, looked for behind views."""
    node: Node | None = get_gradient_edge(output).node
    while node is not None:
        kind = activation_node(node)
        if kind is not None:
            facts: dict[str, Any] = {"output_activation": kind}
            if kind in ("softmax", "log_softmax"):
                dim = node._saved_dim
                result = node._saved_result
                dim = dim if dim < result.ndim else dim - 2**64  # saved as an unsigned number
                facts["softmax_width"] = result.shape[dim]
            return facts
        if node_name(node) not in PASS_NODES | {"select", "slice"}:
            return {}
        node = node.next_functions[0][0] if node.next_functions else None
    return {}


def _class_facts(output: Tensor, target: Tensor, objective: Objective, value: float) -> dict[str, Any]:
    """Cross-entropy of output and target with plain mean: what the loss would be without the user's scale and weights."""
    ignore = objective.ignore_index if objective.ignore_index is not None else -100
    if target.is_floating_point():
        if target.shape != output.shape or output.ndim < 2:
            return {}
        classes = output.shape[1]
        uniform = math.log(classes) * target.float().sum().item() / max(target.numel() / classes, 1)
        return {"classes": classes, "class_loss": _cross_entropy(output, target.float()), "uniform_loss": uniform}
    if output.ndim == 3 and target.shape == output.shape[:2]:  # the user's loss flattened [N, T, C]
        turned = output.transpose(1, 2)
        if output.shape[1] != output.shape[2] or _nearer(value, turned, output, target, ignore):
            output = turned
    if target.ndim != output.ndim - 1 or target.shape[:1] != output.shape[:1] or target.shape[1:] != output.shape[2:]:
        return {}
    classes = output.shape[1] if output.ndim > 1 else output.shape[0]
    ignored = (target == ignore).float().mean().item() if target.numel() else 0.0
    facts: dict[str, Any] = {"classes": classes, "uniform_loss": math.log(max(classes, 1)), "ignored_fraction": ignored}
    if ignored < 1.0:
        facts["class_loss"] = _cross_entropy(output, target, ignore)
    return facts


def _nearer(value: float, one: Tensor, other: Tensor, target: Tensor, ignore: int) -> bool:
    """True if the first reading of an output that fits both ways gives a loss nearer to the one computed."""
    losses = _cross_entropy(one, target, ignore), _cross_entropy(other, target, ignore)
    return losses[0] is not None and losses[1] is not None and abs(losses[0] - value) < abs(losses[1] - value)


def _cross_entropy(output: Tensor, target: Tensor, ignore: int = -100) -> float | None:
    try:
        return float(torch.nn.functional.cross_entropy(output.float(), target, ignore_index=ignore).item())
    except (RuntimeError, IndexError, ValueError):
        return None


def input_profiles(batch: Batch) -> tuple[InputProfile, ...]:
    """One InputProfile for each tensor of the batch that the model is called with."""
    profiles = []
    for name, tensor in [*named_tensors_in(list(batch.args)), *named_tensors_in(dict(batch.kwargs))]:
        counted = tensor if tensor.is_floating_point() or tensor.is_complex() else tensor.float()
        summary = summarise(counted, mean=True)
        summary.dtype = str(tensor.dtype).removeprefix("torch.")
        stats = summary.to_stats()
        ratio, largest = _feature_scale(tensor) if tensor.is_floating_point() else (None, None)
        profiles.append(
            InputProfile(
                name=f"input {name}" if name.isdigit() else name,
                stats=stats,
                std=math.sqrt(max(stats.rms**2 - stats.mean**2, 0.0)),
                floating=tensor.is_floating_point() or tensor.is_complex(),
                feature_scale_ratio=ratio,
                largest_feature=largest,
                sample_variation=variation_between_samples(tensor, tensor.shape[0]) if tensor.ndim > 1 else None,
            )
        )
    return tuple(profiles)


def _feature_scale(tensor: Tensor) -> tuple[float | None, int | None]:
    """RMS of the largest over that of the median feature, and its index; features are dimension 1 of images, else the last."""
    if tensor.ndim < 2 or tensor.layout is not torch.strided:
        return None, None
    dim = 1 if tensor.ndim >= 4 else tensor.ndim - 1
    if tensor.shape[dim] < 2 or tensor.numel() == 0:
        return None, None
    size = tensor.detach().double().movedim(dim, -1).reshape(-1, tensor.shape[dim]).square().mean(0).sqrt()
    middle = size[size > 0].median().item() if bool((size > 0).any()) else 0.0
    if not middle or not math.isfinite(middle):
        return None, None
    return (size.max() / middle).item(), int(size.argmax())


def batch_size_of(batch: Batch) -> int:
    """The size of the first dimension that most of the batch's tensors share; 0 without tensors."""
    sizes = [t.shape[0] for t in tensors_in([list(batch.args), dict(batch.kwargs)]) if t.ndim > 0]
    return max(set(sizes), key=lambda s: (sizes.count(s), -sizes.index(s))) if sizes else 0
