"""Trainable parameters that the loss does not reach.

What it measures
Parameters that require a gradient and lie on no path from the loss in the backward graph, and layers that are not
registered with the model (kept in a plain list), whose parameters no optimizer gets. Where several losses train one
model (a GAN), only what none of them reaches. Then whether they matter: do other values of them change the loss?

Why it matters
Parameters that change the loss but get no gradient are computed with and never learn: the graph is cut behind them by
`.detach()`, `torch.no_grad()`, `argmax`, or a detour over NumPy. Parameters that change nothing are merely idle: a
pooler that this loss does not use, an expert or branch not taken. They cost memory, and distributed training stops at them
unless told to expect unused parameters.

Limits and where they come from
`detached-share` 0.1 (share of the trainable parameters): a cut that silences less is a warning. `unknown-share` 0.05: where
it was not measured whether the parameters matter, layers that ran before the last reached layer are a warning from this
share on (one stock model in twenty has idle parameters, mostly poolers that run last).

When it is wrong
A target network kept under `no_grad` on purpose matters to the loss and must not learn. While it still holds the same
values as the network that learns it is a note; later set `requires_grad = False` on it, which is also faster. Layers that
are dropped at random are looked at under several seeds.

What to do
Remove the cut, or say that it is meant by freezing the parameters. Use straight-through or Gumbel-softmax estimators for
choices (`argmax`, rounding). Delete or freeze what is idle.

References
PyTorch, "Autograd mechanics", locally disabling gradient computation; E. Jang et al., Gumbel-softmax (2017).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

from gradcheck_cli.records import Finding, LayerProfile, Limit, ParameterProfile, Profile, Rule, Severity
from gradcheck_cli.rules.examples import layer_of, parameter_of, profile_of
from gradcheck_cli.rules.paths import leaves, listed
from gradcheck_cli.rules.reading import Quantity, Reading

RULE = Rule(
    code="GC401",
    name="unreached-parameters",
    summary="Trainable parameters that the loss does not reach.",
    severity="error",
    limits=(
        Limit(name="detached-share", value=0.1, unit="share of trainable parameters", source="below it a warning"),
        Limit(name="unknown-share", value=0.05, unit="share of trainable parameters", source="1 stock model in 20 has some"),
    ),
)
CONFIRM = "repeats"
UNCONFIRMED = "silent"  # dropped at random under this seed only
EVERY_OBJECTIVE = True
EFFECT = Quantity("parameters without a gradient", "")
_KINDS = ("detached", "detached?", "copy", "idle")


def check(profile: Profile, limits: Mapping[str, float]) -> Iterator[Finding]:
    yield from _unregistered(profile)
    lost = _lost(profile)
    if all(p.state != "measured" for p in profile.parameters):
        return  # nothing is reached at all: GC403
    cut, unknown, copies, idle = (lost[kind] for kind in _KINDS)
    share = _share(unknown, profile)
    if cut:
        severity: Severity = "error" if _share(cut, profile) >= limits["detached-share"] else "warning"
        yield _finding(cut, profile, severity, "detached", "change the loss but get no gradient: the graph is cut behind them")
    if unknown and share >= limits["unknown-share"]:
        yield _finding(unknown, profile, "warning", "detached?", "run, but get no gradient: the loss does not reach them")
    elif unknown:
        idle = [p for p in profile.parameters if p in unknown or p in idle]
    if copies:
        yield _finding(
            copies, profile, "note", "copy", f"get no gradient: a copy of the network that learns (`{copies[0].twin}`)"
        )
    if idle:
        yield _finding(idle, profile, "note", "idle", "get no gradient in this pass, and the loss does not use them")


def measure(profile: Profile, finding: Finding, _limits: Mapping[str, float]) -> Reading | None:
    """Count the parameters, or the layers that are not registered, of the finding's kind."""
    kind = finding.facts["kind"]
    if kind == "unregistered":
        return Reading(float(sum(not layer.registered for layer in profile.layers)), 0.0)
    lost = _lost(profile)
    counted = [*lost[kind], *lost["detached?"]] if kind == "idle" else lost[kind]
    return Reading(float(len(counted)), 0.0)


def _lost(profile: Profile) -> dict[str, list[ParameterProfile]]:
    """Sort the parameters that no gradient reaches by what they mean to the loss."""
    lost: dict[str, list[ParameterProfile]] = {kind: [] for kind in _KINDS}
    layers = {layer.name: layer for layer in profile.layers}
    last = max((x.order for x in leaves(profile) if x.gradient is not None), default=-1)
    for p in profile.parameters:
        if p.state not in ("unreached", "uncalled"):
            continue
        if p.twin is not None:
            lost["copy"].append(p)
        elif p.moves_loss is None and _ran_before(layers.get(p.layer), last):
            lost["detached?"].append(p)
        else:
            lost["detached" if p.moves_loss else "idle"].append(p)
    return lost


def _unregistered(profile: Profile) -> Iterator[Finding]:
    """Layers that take part and get a gradient, but are kept where `model.parameters()` does not find them."""
    hidden = [layer for layer in profile.layers if not layer.registered]
    if hidden:
        first, *rest = hidden
        yield Finding(
            code="GC401",
            severity="error",
            layer=first.name,
            site=first.site,
            message=f"{listed([x.name for x in hidden])}: in a plain list or dict, so `model.parameters()` does not have them "
            "and no optimizer will train them",
            facts={"kind": "unregistered", "layers": len(hidden)},
            affected=tuple(x.name for x in rest),
        )


def _ran_before(layer: LayerProfile | None, order: int) -> bool:
    return layer is not None and layer.calls > 0 and layer.leaf and layer.order < order


def _share(parameters: Sequence[ParameterProfile], profile: Profile) -> float:
    trainable = sum(p.value.numel for p in profile.parameters if p.state != "frozen")
    return sum(p.value.numel for p in parameters) / trainable if trainable else 0.0


def _finding(parameters: Sequence[ParameterProfile], profile: Profile, severity: Severity, kind: str, what: str) -> Finding:
    owners = list(dict.fromkeys(p.layer for p in parameters))
    orders = {layer.name: layer.order for layer in profile.layers}
    owners.sort(key=lambda name: orders.get(name, len(orders)))
    around = _module_around(owners)
    values, share = sum(p.value.numel for p in parameters), _share(parameters, profile)
    name = around or (owners[0] if len(owners) == 1 else "")
    where = f"`{name}`" if name else listed(owners, 3)
    count = f"{len(parameters)} parameters" if len(parameters) > 1 else "1 parameter"
    return Finding(
        code="GC401",
        severity=severity,
        layer=name or owners[0],
        parameter=parameters[0].name if len(parameters) == 1 else None,
        site=next((p.site for p in parameters if p.site is not None), None),
        message=f"{where}: {count} ({values} values, {share:.0%} of the trainable ones) {what}",
        facts={"kind": kind, "share": share, "parameters": len(parameters), "values": values},
        affected=tuple(o for o in owners if o != (name or owners[0])),
    )


def _module_around(names: Sequence[str]) -> str:
    """Return the innermost module that holds all of them: `text` for `text.0` and `text.2`."""
    levels = zip(*(name.split(".") for name in names), strict=False)
    return ".".join(level[0] for level in itertools.takewhile(lambda level: len(set(level)) == 1, levels))


def _example(*states: tuple[str, str, bool | None], twin: str | None = None) -> Profile:
    layers, parameters = [], []
    for name, state, moves in states:
        gradient = 0.01 if state == "measured" else None
        calls = 0 if state == "uncalled" else 1
        layers.append(layer_of(name, gradient=gradient, calls=calls))
        copy_of = twin if moves else None
        parameters.append(parameter_of(f"{name}.weight", gradient=gradient, moves_loss=moves, twin=copy_of))
    return profile_of(*layers, parameters=tuple(parameters))


FIRES = (
    lambda: profile_of(layer_of("blocks[0]", registered=False), layer_of("head"), parameters=(parameter_of("head.weight"),)),
    lambda: _example(("enc.0", "unreached", True), ("enc.1", "unreached", True), ("head", "measured", None)),
    lambda: _example(("a", "measured", None), ("text", "unreached", None), ("head", "measured", None)),
    lambda: _example(("a", "measured", None), ("pooler", "unreached", False)),
    lambda: _example(("online", "measured", None), ("target", "unreached", True), twin="online.weight"),
)
CLEAN = (
    lambda: _example(("a", "measured", None), ("b", "measured", None)),
    lambda: profile_of(parameters=(parameter_of("a.weight"), parameter_of("b.weight", gradient=None, state="frozen"))),
)
