"""Measure a model once: one forward and backward pass on one batch, reduced to a Profile."""

from __future__ import annotations

import contextlib
import functools
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch
from torch import nn

from gradcheck_cli import __version__
from gradcheck_cli.errors import brief
from gradcheck_cli.loading.base import Objective, Subject
from gradcheck_cli.probing.calls import Ownership
from gradcheck_cli.probing.capture import Capture, graph_of
from gradcheck_cli.probing.deferred import Deferred
from gradcheck_cli.probing.dependence import input_dependence
from gradcheck_cli.probing.forward import ForwardObserver
from gradcheck_cli.probing.graph import Graph, Node
from gradcheck_cli.probing.influence import with_influence
from gradcheck_cli.probing.layers import build_layers, edited_views, without_overwritten
from gradcheck_cli.probing.nonfinite import find_origins
from gradcheck_cli.probing.objective import batch_size_of, input_profiles, objective_profile
from gradcheck_cli.probing.operations import functional_facts
from gradcheck_cli.probing.pairs import find_linear_pairs
from gradcheck_cli.probing.parameters import build_parameters, parameters_in
from gradcheck_cli.probing.precision import forecast_precision
from gradcheck_cli.probing.recurrence import ends_only, fused_times, loop_times
from gradcheck_cli.probing.running import Measurer, backward_pass, forward_pass
from gradcheck_cli.probing.sandbox import untouched
from gradcheck_cli.probing.spine import SpinePlan, build_spines, plan_spines
from gradcheck_cli.records import (
    LayerProfile,
    LinearPair,
    ObjectiveProfile,
    OptimizerProfile,
    ParameterProfile,
    Profile,
    Spine,
    TimeProfile,
)
from gradcheck_cli.settings import Settings

_T = TypeVar("_T")


def probe(subject: Subject, objective: Objective, settings: Settings, *, batch: int = 0, seed: int | None = None) -> Profile:
    """Measure the subject's own model, leaving it bit for bit as it was.

    Raises GradcheckError E451-E453 for a loss that cannot be differentiated, E561/E562 and the data errors when the
    user's forward or backward raises, E572 if the model could not be restored.
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
    return replace(profile, assumptions=(*subject.assumptions, *profile.assumptions, *assumed))


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


def measure(measurer: Measurer) -> Profile:
    """Observe one pass, then look closer where it calls for it; `.grad` fields are left filled."""
    profile, sequences = observe(measurer)
    return look_closer(profile, measurer, sequences)


@dataclass(slots=True)
class Sequences:
    """For the gradient through time of fused recurrent layers, after the pass: their inputs, and where the loss attaches."""

    inputs: dict[str, tuple[nn.RNNBase, torch.Tensor]]
    at_end: set[str]


@dataclass(slots=True)
class _Seen:
    """What one pass showed, as numbers only: no graph is kept."""

    objective: ObjectiveProfile
    layers: tuple[LayerProfile, ...]
    spines: tuple[Spine, ...]
    times: tuple[TimeProfile, ...]
    pairs: tuple[LinearPair, ...]
    reached: set[int]  # ids of parameters, as are the next
    multiplied: set[int]
    in_graph: set[str]  # names of layers whose output the loss depends on
    edited: set[str]  # names of layers whose output, a view, was edited in place
    sequences: Sequences
    assumptions: tuple[str, ...]  # what the loss guessed while it ran
    gaps: list[str]


def observe(measurer: Measurer) -> tuple[Profile, Sequences]:
    """Run one forward and one backward pass under observation and reduce all that was seen to a profile."""
    deferred = Deferred(exact=measurer.exact)
    seen = _one_pass(measurer, deferred)
    return _profile_of(measurer, seen, deferred), seen.sequences


def _one_pass(measurer: Measurer, deferred: Deferred) -> _Seen:
    observer = ForwardObserver(batch_size_of(measurer.batch), deferred)
    sites, gaps = measurer.subject.sites, list[str]()
    with Capture(measurer.model, on_output=observer.see, reduce=deferred.summarise) as capture:
        outcome = forward_pass(measurer, capture)
        observer.finish()
        graph, ownership = graph_of(outcome.loss), Ownership(capture.calls)
        plan = plan_spines(graph, capture)
        functional = functional_facts(plan, graph)
        for node in plan.operations.keys() - plan.module_taps.keys():
            capture.watch_operation(node, functools.partial(deferred.summarise, histogram=node in functional))
        objective = objective_profile(measurer.objective, outcome, graph, ownership)
        times = _attempt("gradient through time", lambda: loop_times(capture, graph, sites, measurer.seed), gaps) or ()
        pairs = find_linear_pairs(graph, capture, {node for _, chain in plan.chains for node in chain})
        reached, multiplied = parameters_in(graph)
        in_graph = {tap.calls[0][0].name for tap in capture.taps.values() if tap.node in graph.position}
        assumptions = outcome.assumptions
        backward_pass(measurer, capture, outcome)
        deferred.flush()
        del outcome
        seen = _Seen(
            objective=objective,
            layers=build_layers(measurer.model, capture, observer, plan, functional, sites),
            spines=build_spines(plan, capture, ownership),
            times=times,
            pairs=pairs,
            reached=reached,
            multiplied=multiplied,
            in_graph=in_graph,
            edited=edited_views(capture, graph),
            sequences=Sequences(observer.inputs, ends_only(capture)),
            assumptions=assumptions,
            gaps=gaps + _capture_gaps(capture) + _objective_gaps(objective),
        )
        _free(capture, graph, plan, functional)
    return seen


def _profile_of(measurer: Measurer, seen: _Seen, deferred: Deferred) -> Profile:
    """Add the parameters to what the pass showed; their gradients still stand in `.grad`."""
    model, subject = measurer.model, measurer.subject
    gradients = {layer.name: layer.gradient.l2 for layer in seen.layers if layer.gradient is not None}
    parameters = build_parameters(model, seen.reached, seen.multiplied, gradients, subject.optimizer, subject.sites, deferred)
    layers, unseen = without_overwritten(seen.layers, parameters, seen.in_graph, seen.edited)
    chosen = subject.optimizer
    return Profile(
        target=subject.target,
        model_kind=type(model).__name__,
        objective=seen.objective,
        batch_size=batch_size_of(measurer.batch),
        batch=input_profiles(measurer.batch),
        batch_origin=subject.data_origin,
        device=str(next((p.device.type for p in model.parameters()), "cpu")),
        dtype=_main_dtype(parameters),
        seed=measurer.seed,
        mode="train" if model.training else "eval",
        versions={"gradcheck": __version__, "torch": torch.__version__, "python": platform.python_version()},
        parameter_count=sum(p.value.numel for p in parameters),
        trainable_count=sum(p.value.numel for p in parameters if p.state != "frozen"),
        layers=layers,
        parameters=parameters,
        spines=seen.spines,
        times=seen.times,
        precision=forecast_precision(layers, parameters),
        linear_pairs=seen.pairs,
        optimizer=OptimizerProfile(name=chosen.name, lr=chosen.lr, origin=chosen.origin) if chosen else None,
        assumptions=seen.assumptions,
        gaps=(*seen.gaps, *unseen),
    )


def look_closer(profile: Profile, measurer: Measurer, sequences: Sequences) -> Profile:
    """Add what needs further runs of the model: time in fused layers, influence of silent parameters, origins of NaN."""
    gaps = list(profile.gaps)
    gradients = {layer.name: layer.gradient.l2 for layer in profile.layers if layer.gradient is not None}
    loss = profile.objective.value
    sites, output = measurer.subject.sites, profile.objective.output
    parameters = _attempt(
        "whether parameters without a gradient matter",
        lambda: with_influence(measurer.model, profile.parameters, gradients, loss, measurer.run),
        gaps,
    )
    fused = _attempt(
        "gradient through time", lambda: fused_times(sequences.inputs, sites, measurer.seed, sequences.at_end), gaps
    )
    dependence = _attempt(
        "whether the output depends on the input",
        lambda: input_dependence(measurer.run, measurer.batch, output, profile.layers),
        gaps,
    )
    profile = replace(profile, parameters=parameters or profile.parameters)
    return replace(
        profile,
        times=profile.times + (fused or ()),
        nonfinite=find_origins(profile, measurer.model, measurer.run, sites),
        input_dependence=dependence,
        gaps=tuple(gaps),
    )


def _attempt(what: str, measure: Callable[[], _T], gaps: list[str]) -> _T | None:
    """A closer look, with other values or at a part alone: where the model refuses it, the report says so and goes on."""
    try:
        return measure()
    except Exception as error:
        gaps.append(f"{what} was not measured: {brief(error)}")
        return None


def _capture_gaps(capture: Capture) -> list[str]:
    gaps = []
    transformed = sorted({c.name for c in capture.calls if c.in_transform})
    if transformed:
        gaps.append(f"inside a function transform (vmap, grad), so not observed: {', '.join(f'`{n}`' for n in transformed)}")
    if capture.failure is not None:
        gaps.append(
            f"an observation failed and was left out (please report it): {type(capture.failure).__name__}: {capture.failure}"
        )
    return gaps


def _objective_gaps(objective: ObjectiveProfile) -> list[str]:
    if objective.kind != "projection":
        return []
    return ["what only a loss and its targets show (GC602, GC605, GC606, GC607): the loss is a random projection of the output"]


def _free(capture: Capture, graph: Graph, plan: SpinePlan, functional: dict[Node, Any]) -> None:
    """Let go of every node in an order that torch can free without deep recursion: all references first, loss side first."""
    plan.chains.clear()
    plan.operations.clear()
    plan.module_taps.clear()
    plan.joined.clear()
    functional.clear()
    capture.release()
    graph.release()


def _main_dtype(parameters: tuple[ParameterProfile, ...]) -> str:
    sizes: dict[str, int] = {}
    for p in parameters:
        sizes[p.value.dtype] = sizes.get(p.value.dtype, 0) + p.value.numel
    return max(sizes, key=lambda d: sizes[d]) if sizes else "float32"
