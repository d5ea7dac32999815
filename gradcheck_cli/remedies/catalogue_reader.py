"""The catalogue as records: read once, every field checked."""

from __future__ import annotations

import functools
import string
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal, cast

from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.remedies.conditions import check_condition
from gradcheck_cli.remedies.edit_kinds import check_edit
from gradcheck_cli.remedies.strict_yaml import load_strict

# Least invasive first. "data" and "loss" touch what goes in and how it is judged, "regime" how the whole training is set up.
COSTS = (
    "data",
    "loss",
    "training loop",
    "initialisation",
    "activation",
    "normalisation",
    "skip connection",
    "layer",
    "regime",
)
APPLICABILITIES = ("safe", "unsafe", "display")
_TEXTS = ("id", "title", "action", "why", "cost", "applicability", "snippet")
_OPTIONAL = ("snippet-functional", "untried")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a remedy answers: any of the codes, when the facts fit. `symptom`: training copes, and the cause stays as it is."""

    codes: tuple[str, ...]
    when: Mapping[str, Any]
    symptom: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedEdit:
    """One edit as the catalogue plans it: a scope instead of layers; an option that starts with `$` names a fact."""

    kind: str
    scope: str
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """One entry of the catalogue. `snippet_functional` replaces the snippet where the layer is a call in a forward method.

    `untried` says, as a clause, why no trial can carry the remedy out; it is empty where there are `edits`.
    """

    id: str
    title: str
    action: str
    why: str
    cost: str
    applicability: Literal["safe", "unsafe", "display"]
    snippet: str
    snippet_functional: str | None
    sources: tuple[str, ...]
    answers: tuple[Answer, ...]
    edits: tuple[PlannedEdit, ...]
    untried: str


@functools.cache
def load_catalogue() -> tuple[Remedy, ...]:
    """Read all files of the catalogue, least invasive remedies first. Raises GradcheckError E676 or E675."""
    folder = files("gradcheck_cli.remedies") / "catalogue"
    remedies: list[Remedy] = []
    for file in sorted(folder.iterdir(), key=lambda f: f.name):
        if file.name.endswith(".yaml"):
            remedies += read_remedies(file.read_text(encoding="utf-8"), file.name)
    twice = {r.id for r in remedies if sum(r.id == other.id for other in remedies) > 1}
    if twice:
        raise _bad("the catalogue", f"{sorted(twice)} stand there twice")
    return tuple(sorted(remedies, key=lambda r: COSTS.index(r.cost)))


def read_remedies(text: str, source: str) -> list[Remedy]:
    """Parse and check one file of the catalogue."""
    entries = load_strict(text, source)
    if not isinstance(entries, list):
        raise _bad(source, "it is no list of remedies")
    return [_remedy(entry, f"{source}, entry {number}") for number, entry in enumerate(entries, start=1)]


def _remedy(entry: Any, where: str) -> Remedy:
    if not isinstance(entry, dict):
        raise _bad(where, "it is no mapping")
    unknown = set(entry) - {*_TEXTS, *_OPTIONAL, "sources", "answers", "edits"}
    missing = {*_TEXTS, "sources", "answers"} - set(entry)
    if unknown or missing:
        raise _bad(where, f"unknown keys {sorted(unknown)}, missing keys {sorted(missing)}")
    for key in (*_TEXTS, *_OPTIONAL):
        if key in entry and not (isinstance(entry[key], str) and entry[key].strip()):
            raise _bad(where, f"{key} is {entry[key]!r}, a text is wanted")
    if entry["cost"] not in COSTS or entry["applicability"] not in APPLICABILITIES:
        raise _bad(where, f"cost {entry['cost']!r} or applicability {entry['applicability']!r} is unknown")
    sources = entry["sources"]
    if not isinstance(sources, list) or not sources or not all(isinstance(s, str) for s in sources):
        raise _bad(where, "sources is no list of texts")
    for key in ("snippet", "snippet-functional"):
        if key in entry and not string.Template(entry[key]).is_valid():
            raise _bad(where, f"{key} is no valid template")
    return Remedy(
        **{key: " ".join(entry[key].split()) for key in ("id", "title", "action", "why", "cost")},
        applicability=cast(Literal["safe", "unsafe", "display"], entry["applicability"]),
        snippet=entry["snippet"].rstrip(),
        snippet_functional=entry["snippet-functional"].rstrip() if "snippet-functional" in entry else None,
        sources=tuple(sources),
        answers=_answers(entry["answers"], where),
        edits=_edits(entry, where),
        untried=" ".join(entry.get("untried", "").split()),
    )


def _answers(answers: Any, where: str) -> tuple[Answer, ...]:
    if not isinstance(answers, list) or not answers:
        raise _bad(where, "answers is no list")
    made = []
    for answer in answers:
        if (
            not isinstance(answer, dict)
            or set(answer) - {"codes", "when", "symptom"}
            or not isinstance(answer.get("codes"), list)
        ):
            raise _bad(where, f"{answer!r} is no answer: it wants `codes` and may have `when` and `symptom`")
        when = answer.get("when", {})
        if not isinstance(when, dict):
            raise _bad(where, "when is no mapping of facts")
        for fact, wanted in when.items():
            problem = check_condition(wanted)
            if problem:
                raise _bad(where, f"when {fact}: {problem}")
        symptom = answer.get("symptom", False)
        if not isinstance(symptom, bool):
            raise _bad(where, f"symptom is {symptom!r}, true or false is wanted")
        made.append(Answer(codes=tuple(map(str, answer["codes"])), when=when, symptom=symptom))
    return tuple(made)


def _edits(entry: dict[str, Any], where: str) -> tuple[PlannedEdit, ...]:
    edits = entry.get("edits", [])
    if not isinstance(edits, list):
        raise _bad(where, "edits is no list")
    if bool(edits) == ("untried" in entry):
        raise _bad(where, "it wants either `edits`, or `untried` with the reason why there are none")
    for edit in edits:
        problem = check_edit(edit)
        if problem:
            raise _bad(where, f"edit {edit!r}: {problem}")
    return tuple(
        PlannedEdit(
            kind=edit["kind"],
            scope=edit.get("scope", "model"),
            options={key: value for key, value in edit.items() if key not in ("kind", "scope")},
        )
        for edit in edits
    )


def _bad(where: str, why: str) -> GradcheckError:
    return GradcheckError("E675", f"{where} is not a valid remedy", why, "compare with the other entries of the catalogue")
