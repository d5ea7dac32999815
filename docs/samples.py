"""Write docs/sample-models.md from the docstring and the `# gradcheck-expect` comments of every file in sample_models/.

Run it with no argument to write the page, with `--check` to exit with 1 when the page is stale.
"""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ROOT / "sample_models"
PAGE = ROOT / "docs" / "sample-models.md"
MARK = "# gradcheck-expect"
INTRODUCTION = """# Sample models

<!-- Written by `python docs/samples.py`; edit the files in sample_models/ instead. -->

Small models as people write them, each with the verdict that it must get. `gradcheck scan sample_models/NAME.py` scans
one; `pytest tests/test_sample_models.py` scans all of them and compares. The verdict stands in the file itself:

- `# gradcheck-expect: GC101` names every code that a scan must raise as an error or a warning; no others may appear;
  `clean` means none. Notes are free.
- `# gradcheck-expect-not: GC201` names codes that must not appear at all, not even as a note.
- `# gradcheck-expect-blame: sigmoid` names what the finding must blame first.

"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What a sample says about itself. `codes` is None when the file has no `# gradcheck-expect:` line."""

    summary: str
    codes: frozenset[str] | None
    forbidden: frozenset[str]
    blame: str | None


def expectation(path: Path) -> Expectation:
    """Read the docstring and the expectation comments of one sample; ValueError for an unknown comment."""
    text = path.read_text(encoding="utf-8")
    found: dict[str, str] = {}
    for line in text.splitlines():
        if not line.startswith(MARK):
            continue
        key, _, value = line.removeprefix(MARK).partition(":")
        if key not in ("", "-not", "-blame") or not value.strip() or key in found:
            raise ValueError(f"{path.name}: cannot read {line!r}")
        found[key] = value.strip()
    codes = None
    if "" in found:
        codes = frozenset() if found[""] == "clean" else _codes(found[""], path)
    return Expectation(
        summary=(ast.get_docstring(ast.parse(text)) or "").split("\n\n")[0],
        codes=codes,
        forbidden=_codes(found["-not"], path) if "-not" in found else frozenset(),
        blame=found.get("-blame"),
    )


def _codes(text: str, path: Path) -> frozenset[str]:
    codes = frozenset(code.strip() for code in text.split(","))
    if bad := sorted(c for c in codes if not (len(c) == 5 and c.startswith("GC") and c[2:].isdigit())):
        raise ValueError(f"{path.name}: {', '.join(bad)} is no rule code")
    return codes


def page() -> str:
    """Return the page: one table of the sick models by code, one of the healthy."""
    samples = {path: expectation(path) for path in sorted(SAMPLES.glob("*.py"))}
    sick = sorted((p for p, e in samples.items() if e.codes), key=lambda p: (sorted(samples[p].codes or ()), p.name))
    healthy = [p for p, e in samples.items() if not e.codes]
    lines = [
        f"## {len(sick)} with a finding",
        "",
        "| file | what it is | must raise | must not raise |",
        "|---|---|---|---|",
    ]
    for path in sick:
        e = samples[path]
        verdict = ", ".join(sorted(e.codes or ())) + (f", blaming {e.blame}" if e.blame else "")
        lines.append(f"| {_link(path)} | {e.summary} | {verdict} | {', '.join(sorted(e.forbidden))} |")
    lines += ["", f"## {len(healthy)} without", "", "| file | what it is | not even as a note |", "|---|---|---|"]
    for path in healthy:
        e = samples[path]
        lines.append(f"| {_link(path)} | {e.summary} | {', '.join(sorted(e.forbidden))} |")
    return INTRODUCTION + "\n".join(lines) + "\n"


def _link(path: Path) -> str:
    return f"[{path.name}](../sample_models/{path.name})"


def main(arguments: list[str]) -> int:
    if arguments == ["--check"]:
        return 0 if PAGE.exists() and PAGE.read_text(encoding="utf-8") == page() else 1
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
