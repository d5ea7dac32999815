"""One root cause is one finding: a finding hides those that only show its consequences."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

from gradcheck_cli.records import Finding, Rule


def without_victims(findings: Sequence[Finding], rules: Mapping[str, Rule]) -> list[Finding]:
    """Drop every finding that a graver or equal one on the same layers explains; the survivor names it under `also`.

    A note hides only notes: what a second look has excused explains nothing. A victim of a victim belongs to the root.
    """
    hiders: dict[int, int] = {}
    victims = [_victims(root, rules[root.code]) for root in findings]
    for i, victim in enumerate(findings):
        for j, root in enumerate(findings):
            if i != j and victim.code in victims[j] and _explains(root, victim):
                hiders.setdefault(i, j)
    also: dict[int, list[Finding]] = {}
    for i in hiders:
        also.setdefault(_root(i, hiders), []).append(findings[i])
    return [_naming(f, also[i]) if i in also else f for i, f in enumerate(findings) if i not in hiders]


def _root(index: int, hiders: Mapping[int, int]) -> int:
    seen = set()
    while index in hiders and index not in seen:  # `hides` has no cycle (a test holds that); never hang on one anyway
        seen.add(index)
        index = hiders[index]
    return index


def _victims(root: Finding, rule: Rule) -> set[str]:
    """Return the codes that a finding explains: those of its rule but for what it says it spares."""
    return set(rule.hides) - set(root.facts.get("spares", ()))


def _explains(root: Finding, victim: Finding) -> bool:
    return (root.severity != "note" or victim.severity == "note") and covers(root, victim)


def covers(root: Finding, victim: Finding) -> bool:
    """Say whether the root's layers include one of the victim's; what concerns the whole model meets everything."""
    if root.facts.get("scope") == "model" or not (reach := layers_of(root)):
        return True
    harmed = layers_of(victim)
    return not harmed or any(_within(layer, reach) for layer in harmed)


def layers_of(finding: Finding) -> frozenset[str]:
    """Return the layers that a finding is about; empty when it is about the whole model."""
    if not finding.layer and not finding.affected:
        return frozenset()
    blamed = finding.facts.get("blame_layers", ())
    named = {finding.layer, *finding.affected, *(blamed if isinstance(blamed, (tuple, list)) else ())}
    return frozenset(str(name) for name in named)


def _within(layer: str, reach: frozenset[str]) -> bool:
    """A layer is reached when it or a module around it is: `blocks.3` covers `blocks.3.fc` and `blocks.3/relu`."""
    if layer in reach:
        return True
    owner, _, _ = layer.partition("/")
    parts = owner.split(".")
    return any(".".join(parts[:n]) in reach for n in range(1, len(parts) + 1) if parts[0])


def _naming(root: Finding, victims: Sequence[Finding]) -> Finding:
    counts: dict[tuple[str, str], int] = {}
    for victim in victims:
        counts[victim.code, victim.name] = counts.get((victim.code, victim.name), 0) + 1
    words = [f"{code} {name}".rstrip() + (f" (×{n})" if n > 1 else "") for (code, name), n in sorted(counts.items())]
    return dataclasses.replace(root, details=(*root.details, ("also", "explains " + ", ".join(words))))


def layer_order(orders: Mapping[str, int], layer: str) -> float:
    """Return a layer's place in execution order; the whole model first, unknown names last."""
    return -1.0 if not layer else orders.get(layer, math.inf)
