"""Measure a model once: one forward and backward pass on one batch, reduced to a Profile."""

from __future__ import annotations

import contextlib
import math
import platform
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from gradcheck_cli import __version__
from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.loading.base import Batch, Objective, Outcome, Subject
from gradcheck_cli.probing import nonfinite
from gradcheck_cli.probing.capture import Capture, Ownership, graph_of
from gradcheck_cli.probing.dependence import input_dependence
from gradcheck_cli.probing.forward import ForwardObserver
from gradcheck_cli.probing.graph import Graph, Node
from gradcheck_cli.probing.influence import with_influence
from gradcheck_cli.probing.layers import build_layers, functional_facts
from gradcheck_cli.probing.objective import batch_size_of, input_profiles, objective_profile
from gradcheck_cli.probing.pairs import find_linear_pairs
from gradcheck_cli.probing.parameters import build_parameters, parameters_in
from gradcheck_cli.probing.precision import forecast_precision
from gradcheck_cli.probing.recurrence import ends_only, fused_times, loop_times
from gradcheck_cli.probing.sandbox import untouched
from gradcheck_cli.probing.spine import SpinePlan, build_spines, plan_spines
from gradcheck_cli.probing.statistics import Summary, summarise
from gradcheck_cli.records import LayerProfile, NonFinite, OptimizerProfile, ParameterProfile, Profile, TimeProfile
from gradcheck_cli.settings import Settings


@dataclass(frozen=True, slots=True)
class Measurer:
    """Measures one subject under one objective; `model` may be a copy of the subject's."""

    subject: Subject
    objective: Objective
    model: nn.Module
    batch: Batch
    seed: int
    exact: bool = False

    def run(self) -> Outcome:
        """One forward pass from the same random state each time."""
        seed_everything(self.seed)
        return self.objective.compute(self.model, self.batch)


def probe(subject: Subject, objective: Objective, settings: Settings, *, batch: int = 0, seed: int | None = None) -> Profile:
    """Measure the subject's own model, leaving it bit for bit as it was.

    Raises GradcheckError E451-E453 for a loss that cannot be differentiated, E561/E562 and the data errors when the user's forward
    or backward raises, E572 if the model could not be restored.
    """
    measurer = Measurer(
        subject=subject,
        objective=objective,
        model=subject.model,
        batch=subject.batches[batch % len(subject.batches)],
        seed=settings.seed if seed is None else seed,
        exact=settings.exact,
    )
    with untouched(subject.model), training_mode(subject.model) as assumed:
        profile = measure(measurer)
    return replace(profile, assumptions=(*subject.assumptions, *assumed))


@contextlib.contextmanager
def training_mode(model: nn.Module) -> Iterator[tuple[str, ...]]:
    """Put a model whose root is in eval mode into train mode, as training will; say so. The caller's sandbox restores it."""
    if model.training:
        yield ()
        return
    try:
        model.train()
        yield ("the model was in eval mode; it was measured in train mode",)
    except NotImplementedError:  # an exported program cannot switch
        yield ()


def seed_everything(seed: int) -> None:
    torch.manual_seed(seed)
    random.seed(seed)
    if "numpy" in sys.modules:
        import numpy as np

        np.random.seed(seed % 2**32)


def measure(measurer: Measurer) -> Profile:
    """Observe one pass, then look closer where it calls for it; `.grad` fields are left filled."""
    profile, sequences = observe(measurer)
    return look_closer(profile, measurer, sequences)


@dataclass(slots=True)
class Sequences:
    """What the gradient through time of fused recurrent layers needs after the pass: their inputs, and where the loss attaches."""

    inputs: dict[str, tuple[nn.RNNBase, torch.Tensor]]
    at_end: set[str]


def observe(measurer: Measurer) -> tuple[Profile, Sequences]:
    """Run one forward and one backward pass under observation and reduce all that was seen to a profile."""
    model, batch, sites = measurer.model, measurer.batch, measurer.subject.sites
    size = batch_size_of(batch)
    observer = ForwardObserver(size)
    gaps: list[str] = []
    with Capture(model, on_output=observer.see, reduce=lambda g: summarise(g, exact=measurer.exact)) as capture:
        outcome = _forward(measurer, capture)
        _check_loss(outcome)
        graph = graph_of(outcome.loss)
        ownership = Ownership(capture.calls)
        plan = plan_spines(graph, capture)
        functional = functional_facts(plan, graph)
        for node in plan.operations:
            capture.watch_operation(node, capture.reduce if node in functional else _norm_only)
        objective = objective_profile(measurer.objective, outcome, graph, ownership)
        on_spine = {node for _, chain in plan.chains for node in chain}
        times: tuple[TimeProfile, ...] = _times(lambda: loop_times(capture, graph, sites, measurer.seed), gaps)
        pairs = find_linear_pairs(graph, capture, on_spine)
        reached, multiplied = parameters_in(graph)
        observed = {tap.calls[0][0].name for tap in capture.taps.values() if tap.node in graph.position}
        _backward(measurer, capture, outcome)
        sequences = Sequences(observer.inputs, ends_only(capture))
        spines = build_spines(plan, capture, ownership)
        layers = build_layers(model, capture, observer, plan, functional, sites)
        gaps.extend(_capture_gaps(capture))
        on_spine.clear()
        _free(capture, graph, plan, functional)
        del outcome
    gradient_l2 = {layer.name: layer.gradient.l2 for layer in layers if layer.gradient is not None}
    optimizer = measurer.subject.optimizer
    parameters = build_parameters(model, reached, multiplied, gradient_l2, optimizer, sites, exact=measurer.exact)
    layers, unseen = _overwritten(layers, parameters, observed)
    profile = Profile(
        target=measurer.subject.target,
        model_kind=type(model).__name__,
        objective=objective,
        batch_size=size,
        batch=input_profiles(batch),
        device=str(next((p.device.type for p in model.parameters()), "cpu")),
        dtype=_main_dtype(parameters),
        seed=measurer.seed,
        mode="train" if model.training else "eval",
        versions={"gradcheck": __version__, "torch": torch.__version__, "python": platform.python_version()},
        parameter_count=sum(p.value.numel for p in parameters),
        trainable_count=sum(p.value.numel for p in parameters if p.state != "frozen"),
        layers=layers,
        parameters=parameters,
        spines=spines,
        times=times,
        precision=forecast_precision(layers, parameters),
        linear_pairs=pairs,
        optimizer=None if optimizer is None else OptimizerProfile(name=optimizer.name, lr=optimizer.lr, origin=optimizer.origin),
        gaps=(*gaps, *unseen),
    )
    return profile, sequences


def look_closer(profile: Profile, measurer: Measurer, sequences: Sequences) -> Profile:
    """Add what needs further runs of the model: time in fused layers, influence of silent parameters, origins of NaN."""
    gaps = list(profile.gaps)
    gradients = {layer.name: layer.gradient.l2 for layer in profile.layers if layer.gradient is not None}
    loss = profile.objective.value
    parameters = with_influence(measurer.model, profile.parameters, gradients, loss, measurer.run)
    fused = _times(lambda: fused_times(sequences.inputs, measurer.subject.sites, measurer.seed, sequences.at_end), gaps)
    return replace(
        profile,
        parameters=parameters,
        times=profile.times + fused,
        nonfinite=_origins(measurer, profile.layers, parameters, loss),
        input_dependence=input_dependence(measurer.run, measurer.batch, profile.objective.output, profile.layers),
        gaps=tuple(gaps),
    )


def _norm_only(gradient: torch.Tensor) -> Summary:
    return summarise(gradient, histogram=False)


def _forward(measurer: Measurer, capture: Capture) -> Outcome:
    try:
        return measurer.run()
    except (GradcheckError, KeyboardInterrupt):
        raise
    except Exception as error:
        raise _translated(error, measurer, capture, "forward") from error


def _backward(measurer: Measurer, capture: Capture, outcome: Outcome) -> None:
    try:
        with capture.measuring():
            outcome.loss.backward()  # type: ignore[no-untyped-call]
    except (GradcheckError, KeyboardInterrupt):
        raise
    except Exception as error:
        raise _translated(error, measurer, capture, "backward") from error


def _translated(error: Exception, measurer: Measurer, capture: Capture, phase: str) -> GradcheckError:
    from gradcheck_cli.loading.explain import translate

    frame = capture.frame()
    return translate(error, measurer.subject, measurer.batch, phase=phase, layer=None if frame is None else frame.name)


def _check_loss(outcome: Outcome) -> None:
    loss: Any = outcome.loss
    if loss.numel() != 1:
        raise GradcheckError(
            "E451", f"the loss is not a scalar but has shape {tuple(loss.shape)}", "a backward pass starts from one number",
            "reduce it in the loss function, or pass --reduce mean",
        )  # fmt: skip
    if not loss.is_floating_point():
        raise GradcheckError(
            "E452", f"the loss is of type {str(loss.dtype).removeprefix('torch.')}", "only a real floating-point loss has a gradient",
            "return a real number, for instance loss.abs() of a complex one",
        )  # fmt: skip
    if not loss.requires_grad:
        raise GradcheckError(
            "E453", "the loss does not depend on any trainable parameter through differentiable operations",
            "the graph ends before the parameters: a detach(), no_grad(), argmax or .item() cuts it, or all is frozen",
            "look for these in the forward pass and in the loss function",
        )  # fmt: skip


def _times(measure_times: Any, gaps: list[str]) -> tuple[TimeProfile, ...]:
    """Gradient through time is a second look: where a layer refuses, the report says so and the scan goes on."""
    try:
        times: tuple[TimeProfile, ...] = measure_times()
        return times
    except RuntimeError as error:
        gaps.append(f"gradient through time was not measured: {str(error).splitlines()[0]}")
        return ()


def _capture_gaps(capture: Capture) -> list[str]:
    gaps = []
    transformed = sorted({c.name for c in capture.calls if c.in_transform})
    if transformed:
        gaps.append(f"inside a function transform (vmap, grad), so not observed: {', '.join(f'`{n}`' for n in transformed)}")
    if capture.failure is not None:
        gaps.append(f"an observation failed and was left out (please report it): {type(capture.failure).__name__}: {capture.failure}")
    return gaps


def _free(capture: Capture, graph: Graph, plan: SpinePlan, functional: dict[Node, Any]) -> None:
    """Let go of every node in an order that torch can free without deep recursion: all references first, loss side first."""
    plan.chains.clear()
    plan.operations.clear()
    plan.module_taps.clear()
    plan.joined.clear()
    functional.clear()
    capture.release()
    graph.release()


def _overwritten(
    layers: tuple[LayerProfile, ...], parameters: tuple[ParameterProfile, ...], observed: set[str]
) -> tuple[tuple[LayerProfile, ...], list[str]]:
    """A layer whose parameters get a gradient though its output is not in the graph was overwritten in place: not unreached."""
    learning = {""}  # names of modules that hold, or whose children hold, a parameter with a gradient
    for p in parameters:
        if p.gradient is not None:
            parts = p.layer.split(".")
            learning.update(".".join(parts[:n]) for n in range(1, len(parts) + 1))
    reached, gaps = [], []
    for layer in layers:
        if layer.state == "unreached" and layer.name in learning and layer.name not in observed:
            layer = replace(layer, state="measured")
            if layer.leaf:
                gaps.append(f"the gradient at `{layer.name}` is not observable: its output is edited in place or used as plain data")
        reached.append(layer)
    return tuple(reached), gaps


def _main_dtype(parameters: tuple[ParameterProfile, ...]) -> str:
    sizes: dict[str, int] = {}
    for p in parameters:
        sizes[p.value.dtype] = sizes.get(p.value.dtype, 0) + p.value.numel
    return max(sizes, key=lambda d: sizes[d]) if sizes else "float32"


def _origins(
    measurer: Measurer, layers: tuple[LayerProfile, ...], parameters: tuple[ParameterProfile, ...], loss: float
) -> tuple[NonFinite, ...]:
    """Look for the origin of non-finite values, only if there are any; a second and third run of the user's model."""
    bad_forward = not math.isfinite(loss) or any(x.output is not None and x.output.nonfinite for x in layers)
    gradients = [x.gradient for x in layers] + [p.gradient for p in parameters]
    bad_backward = any(g is not None and g.nonfinite for g in gradients)
    found = []
    sites = measurer.subject.sites
    if bad_forward:
        found.append(nonfinite.find_forward_origin(measurer.model, measurer.run, sites))
    if bad_backward and math.isfinite(loss):
        for p in measurer.model.parameters():
            p.grad = None
        found.append(nonfinite.find_backward_origin(measurer.model, measurer.run, sites))
    return tuple(f for f in found if isinstance(f, NonFinite))
