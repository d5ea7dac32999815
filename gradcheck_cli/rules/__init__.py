"""Profile → findings. One rule a file, found by its file name `gcNNN_name.py`; nothing here imports torch."""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Literal

from gradcheck_cli.records import Finding, Profile, Rule
from gradcheck_cli.rules.reading import Quantity, Reading

Check = Callable[[Profile, Mapping[str, float]], Iterator[Finding]]
Reconsider = Callable[[Finding, Profile, Mapping[str, float]], Finding | None]
Measure = Callable[[Profile, Finding, Mapping[str, float]], Reading | None]
_RULE_FILE = re.compile(r"gc\d{3}_\w+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """A rule as people see it: its declaration and its page."""

    rule: Rule
    page: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleFile(Declared):
    """What one rule file offers: declaration, page, check, examples, and how its suspects are confirmed.

    `confirm`: "none" (one look decides), "repeats" (other seeds and batches must agree), "training" (a trained copy
    must agree as well). `unconfirmed` says what a suspect becomes that is not confirmed. `every_objective`: the
    finding must hold under all losses together, as "no gradient arrives" must in a GAN. `reconsider` decides alone.
    `effect` and `measure`: the number that the finding's message states, read from any profile, also a healthy one; for
    the finding's layer where the rule is about one and it is still there, else the worst. None: it cannot be measured.
    """

    check: Check
    effect: Quantity
    measure: Measure
    fires: tuple[Callable[[], Profile], ...]
    clean: tuple[Callable[[], Profile], ...]
    confirm: Literal["none", "repeats", "training"]
    unconfirmed: Literal["note", "silent"] = "note"
    every_objective: bool = False
    reconsider: Reconsider | None = None


@functools.cache
def declared() -> tuple[Declared, ...]:
    """Read every rule file of this package, by code; also those of what is seen elsewhere than in a profile (GC9xx)."""
    names = sorted(m.name for m in pkgutil.iter_modules(__path__) if _RULE_FILE.fullmatch(m.name))
    return tuple(_read(importlib.import_module(f"{__name__}.{name}")) for name in names)


@functools.cache
def load_rules() -> tuple[RuleFile, ...]:
    """Return the rules that judge a profile, by code."""
    return tuple(file for file in declared() if isinstance(file, RuleFile))


def _read(module: ModuleType) -> Declared:
    rule, page = module.RULE, inspect.cleandoc(module.__doc__ or "")
    if not hasattr(module, "check"):
        return Declared(rule=rule, page=page)
    return RuleFile(
        rule=rule,
        page=page,
        check=module.check,
        effect=module.EFFECT,
        measure=module.measure,
        fires=module.FIRES,
        clean=module.CLEAN,
        confirm=module.CONFIRM,
        unconfirmed=getattr(module, "UNCONFIRMED", "note"),
        every_objective=getattr(module, "EVERY_OBJECTIVE", False),
        reconsider=getattr(module, "reconsider", None),
    )
