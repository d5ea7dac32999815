"""Other ways to look at gradients, each as a function that turns a workload into a step to be timed.

A peer whose package is not installed raises ImportError; a peer that cannot handle a model raises what it raises.
"""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from workloads import Workload

Step = Callable[[], Any]


def naive_numbers(tensor: Tensor) -> tuple[float, ...]:
    return tensor.mean().item(), tensor.std().item(), tensor.norm().item(), tensor.abs().max().item()


def _parameters(model: nn.Module) -> list[tuple[float, ...]]:
    return [naive_numbers(p.grad) for p in model.parameters() if p.grad is not None]


def naive_parameters(work: Workload) -> Step:
    def step() -> None:
        work.step()
        _parameters(work.model)

    return step


def naive_tensor_hooks(work: Workload) -> Step:
    numbers: list[tuple[float, ...]] = []

    def watch(_module: nn.Module, _args: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.requires_grad:
            output.register_hook(lambda g: numbers.append(naive_numbers(g)))

    for module in work.model.modules():
        module.register_forward_hook(watch)

    def step() -> None:
        numbers.clear()
        work.step()
        _parameters(work.model)

    return step


def naive_full_backward_hooks(work: Workload) -> Step:
    numbers: list[tuple[float, ...]] = []

    def watch(_module: nn.Module, _into: Any, out: Any) -> None:
        numbers.extend(naive_numbers(g) for g in out if g is not None)

    warnings.filterwarnings("ignore", message="Full backward hook is firing")
    for module in work.model.modules():
        if not list(module.children()):
            module.register_full_backward_hook(watch)

    def step() -> None:
        numbers.clear()
        work.step()
        _parameters(work.model)

    return step


def detect_anomaly(work: Workload) -> Step:
    def step() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with torch.autograd.detect_anomaly(check_nan=True):
                work.step()

    return step


def lightning_grad_norm(work: Workload) -> Step:
    from lightning.pytorch.utilities import grad_norm

    def step() -> None:
        work.step()
        grad_norm(work.model, norm_type=2)

    return step


def transformers_debug(work: Workload) -> Step:
    from transformers.debug_utils import DebugUnderflowOverflow

    DebugUnderflowOverflow(work.model)

    def step() -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            work.step()

    return step


def wandb_gradients(work: Workload) -> Step:
    os.environ.setdefault("WANDB_SILENT", "true")
    import wandb

    if wandb.run is None:
        wandb.init(mode="offline", dir=tempfile.mkdtemp(), project="overhead")
    wandb.watch(work.model, log="gradients", log_freq=1)

    def step() -> None:
        work.step()
        wandb.log({})

    return step


def torchinstruments(work: Workload) -> Step:
    from torchinstruments import inject_observer
    from torchinstruments.sampling import AlwaysSampler

    inject_observer(work.model, sampler=AlwaysSampler(), output_dir=tempfile.mkdtemp())
    return work.step


PEERS: dict[str, tuple[Callable[[Workload], Step], str]] = {
    "Lightning `grad_norm`": (lightning_grad_norm, "L2 of each parameter gradient"),
    "`set_detect_anomaly`": (detect_anomaly, "NaN in a backward operation; no statistic"),
    "naive script, parameters": (naive_parameters, "mean, std, norm, abs-max of each parameter gradient"),
    "naive script, tensor hooks": (naive_tensor_hooks, "the same for each output too"),
    "naive script, full backward hooks": (naive_full_backward_hooks, "the same"),
    "Transformers DebugUnderflowOverflow": (transformers_debug, "forward only: abs-min and abs-max; no gradient"),
    "wandb.watch, offline": (wandb_gradients, "64-bin histogram of each parameter gradient"),
    "torchinstruments": (torchinstruments, "scalars, quartiles and histograms of outputs and their gradients"),
}
