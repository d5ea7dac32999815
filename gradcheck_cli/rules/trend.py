"""How the gradient changes along a spine: the part that is spread over many layers, apart from single jumps."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from gradcheck_cli.records import Finding, LayerProfile, Profile, Segment, Severity, Spine, TimeProfile

JUMPS = 2  # segments left out: a healthy network is flat with one or two jumps (pooling, class token, layer scale)
UNROLLED = 8  # a layer that one spine passes this often is a step of a loop: time, not depth
_STARVED = 1e-3  # of the gradient's L2 norm at the loss end
_LEAST_BLAME = 0.05  # decades; less would be written as 0.0


@dataclass(frozen=True, slots=True)
class Trend:
    """The change along one spine in decades, positive when the gradient shrinks toward the input.

    `steady` is what remains of `total` without the JUMPS largest segments of the same direction.
    """

    spine: Spine
    segments: tuple[Segment, ...]
    total: float
    steady: float


def trend_of(spine: Spine) -> Trend:
    """Add up the segments whose gain is learned or chosen: no pooling, no unrolled steps, nothing behind an exact zero."""
    unrolled = _unrolled(spine)
    counted = []
    for segment, point in zip(spine.segments, spine.points[1:], strict=True):
        if point.l2 == 0.0:
            break
        if segment.role != "shape" and segment.layer not in unrolled:
            counted.append(segment)
    total = -sum(s.log10_gain for s in counted)
    sign = 1.0 if total >= 0 else -1.0
    largest = sorted((-sign * s.log10_gain for s in counted), reverse=True)[:JUMPS]
    steady = sign * max(0.0, sign * total - sum(max(0.0, x) for x in largest))
    return Trend(spine, tuple(counted), total, steady)


def _unrolled(spine: Spine) -> frozenset[str]:
    """Names of the layers and operations on the spine that are steps of a loop."""
    visits = Counter(point.layer for point in spine.points)
    looped = {name for name, count in visits.items() if count >= UNROLLED}
    if not looped or _only_shared_activations(spine, looped):
        return frozenset()
    # the k-th operation of a kind in a loop body has a number of its own: count the kind when a layer is looped over too
    kinds = Counter(_unnumbered(point.layer) for point in spine.points)
    return frozenset(n for n in visits if (kinds[_unnumbered(n)] >= UNROLLED if "/" in n else n in looped))


def _only_shared_activations(spine: Spine, looped: set[str]) -> bool:
    """One `nn.Sigmoid` called behind each of many layers is depth: what makes time of a loop is that weights come again."""
    bare = {p.role for p in spine.points if p.layer in looped} <= {"activation", "shape"}
    return bare and any(p.role == "linear" and "/" not in p.layer for p in spine.points)


def _unnumbered(name: str) -> str:
    """`cell/mul#7` → `cell/mul`."""
    owner, slash, operation = name.partition("/")
    return owner + slash + operation.partition("#")[0]


def worst_trend(profile: Profile, sign: float) -> Trend | None:
    """The spine with the largest steady change in one direction (+1 vanishing, -1 exploding)."""
    trends = [trend_of(s) for s in profile.spines]
    return max(trends, key=lambda t: sign * t.steady, default=None)


@dataclass(frozen=True, slots=True)
class Share:
    """One kind of layer's part in a trend."""

    kind: str
    role: str
    count: int
    decades: float  # of log10 gain, negative when it shrinks the gradient
    layers: tuple[str, ...]

    @property
    def gain(self) -> float:
        """The geometric mean of the layers' gains."""
        return math.pow(10.0, self.decades / self.count)


def shares(trend: Trend, sign: float) -> list[Share]:
    """Group a trend's segments by kind of layer, the largest contribution to the trend first."""
    groups: dict[tuple[str, str], list[Segment]] = {}
    for segment in trend.segments:
        groups.setdefault((segment.kind, segment.role), []).append(segment)
    made = [
        Share(kind, role, len(group), sum(s.log10_gain for s in group), tuple(dict.fromkeys(s.layer for s in group)))
        for (kind, role), group in groups.items()
    ]
    return sorted(made, key=lambda s: (sign * s.decades, s.kind))


def starved_layers(profile: Profile, trend: Trend) -> tuple[str, ...]:
    """Layers with parameters whose output's gradient is a thousandth or less of that at the loss end, input side first."""
    top = max((p.l2 for p in trend.spine.points[:3]), default=0.0)
    return tuple(x.name for x in profile.layers if x.parameters and x.gradient is not None and x.gradient.l2 <= _STARVED * top)


def learning_share(profile: Profile, layers: Sequence[str]) -> tuple[float, float, float]:
    """(share of the trainable parameters, of the first-order loss decrease under SGD, under Adam) that the layers hold.

    The decrease is ‖g‖² for a gradient step and ‖g‖₁ for a sign step, which is Adam's first.
    """
    chosen = set(layers)
    measured = [p for p in profile.parameters if p.gradient is not None]

    def part(value: Sequence[float]) -> float:
        whole = sum(value)
        inside = sum(v for p, v in zip(measured, value, strict=True) if p.layer in chosen)
        return inside / whole if whole else 0.0

    top = max((p.gradient.l2 for p in measured if p.gradient), default=1.0) or 1.0  # squares of 1e-200 would be lost
    return (
        part([float(p.value.numel) for p in measured]),
        part([(p.gradient.l2 / top) ** 2 if p.gradient else 0.0 for p in measured]),
        part([(p.gradient_l1 or 0.0) / top for p in measured]),
    )


def trend_finding(profile: Profile, trend: Trend, code: str, sign: float, severity: Severity) -> Finding:
    """The finding of GC101 (sign +1) or GC102 (sign -1): message, blame, starved layers, picture and facts."""
    parts = shares(trend, sign)
    blamed = [s for s in parts if sign * s.decades < -_LEAST_BLAME]
    main = blamed[0] if blamed else parts[0]
    first = _first_in_execution(profile, main.layers)
    starved = starved_layers(profile, trend) if sign > 0 else ()
    direction = "shrinks" if sign > 0 else "grows"
    against = [s for s in parts if sign * s.decades > _LEAST_BLAME]
    named = blamed[:3] + against[-1:]
    details = [("blame", " · ".join(_blame(s) for s in named) or "no single kind of layer")]
    if starved:
        held, sgd, adam = learning_share(profile, starved)
        learns = f"{sgd:.0e} of the first step's learning under SGD, {adam:.0e} under Adam"
        details.append(("starves", f"{len(starved)} layers hold {held:.0%} of the weights, {learns}"))
    linear = [s for s in parts if s.role == "linear"]
    count = sum(s.count for s in linear)
    return Finding(
        code=code,
        severity=severity,
        layer=first.name if first else main.layers[0],
        site=first.site if first else None,
        message=f"the gradient {direction} by {abs(trend.total):.1f} decades on its way from the loss to `{trend.spine.entry}`",
        details=tuple(details),
        facts={
            "drop": trend.total,
            "steady": trend.steady,
            "entry": trend.spine.entry,
            "blame_role": main.role,
            "blame_kind": main.kind.lower(),
            "blame_decades": main.decades,
            "blame_layers": list(main.layers),
            "depth": len(trend.segments),
            "linear_gain": sum(s.decades for s in linear) / count if count else 0.0,
            "has_norm": any(x.role == "norm" and x.calls for x in profile.layers),
            "has_skip": any(s.bypassed for s in trend.segments),
            "recurrent": bool(profile.times),
            "batch_size": profile.batch_size,
        },
        affected=starved,
        picture=tuple(math.log10(max(p.l2, 1e-300)) for p in reversed(trend.spine.points)),
    )


def _blame(share: Share) -> str:
    best = " (0.25 at best each)" if share.kind.lower() == "sigmoid" else f" (gain {share.gain:.2g} each)"
    return f"{share.count} × {share.kind} {share.decades:+.1f} decades{best}"


def _first_in_execution(profile: Profile, names: Sequence[str]) -> LayerProfile | None:
    chosen = set(names)
    return min((x for x in profile.layers if x.name in chosen), key=lambda x: x.order, default=None)


def losses_fall(profile: Profile) -> bool:
    """True if the loss fell by a tenth over the training probe's steps."""
    trained = profile.confirmation.trained if profile.confirmation else ()
    losses = trained[-1].losses if trained else ()
    quarter = max(1, len(losses) // 4)
    return len(losses) > 3 and sum(losses[-quarter:]) < 0.9 * sum(losses[:quarter])


def same_time(profile: Profile, finding: Finding) -> TimeProfile | None:
    """Return the recurrent layer and direction that the finding is about, else the one whose gradient changes most."""
    named = [t for t in profile.times if (t.layer, t.direction) == (finding.layer, finding.facts.get("direction"))]
    return max(named or profile.times, key=lambda t: abs(t.decay * t.steps), default=None)


def time_finding(profile: Profile, time: TimeProfile, code: str, severity: Severity) -> Finding:
    """The finding of GC103 or GC104 for one recurrent layer and direction."""
    over = time.decay * time.steps
    word = "vanishes" if over < 0 else "explodes"
    left = f"after {time.horizon} steps less than 1 % is left" if time.horizon is not None else "no step is forgotten"
    attaches = "at the last step only" if time.loss_at_end else "at many steps"
    return Finding(
        code=code,
        severity=severity,
        layer=time.layer,
        site=time.site,
        message=f"`{time.layer}`: the gradient {word} through time, {over:+.1f} decades over {time.steps} steps",
        details=(
            (
                "blame",
                f"{time.kind}{' called in a loop' if time.hand_written else ''}: {time.decay:+.2f} decades per step",
            ),
            ("horizon" if over < 0 else "reach", f"{left}; the loss attaches {attaches}"),
        ),
        facts={
            "decades": over,
            "decay": time.decay,
            "steps": time.steps,
            "horizon": time.horizon,
            "direction": time.direction,
            "gated": time.gated,
            "hand_written": time.hand_written,
            "blame_kind": time.kind.lower(),
            "recurrent": True,
            "batch_size": profile.batch_size,
        },
        picture=tuple(math.log10(max(v, 1e-300)) for v in reversed(time.l2)),
    )
