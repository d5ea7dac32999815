"""The file of known findings: JSON, meant to be committed."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from gradcheck_cli import __version__
from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.gate.fingerprint import fingerprint_of
from gradcheck_cli.records import BaselineEntry, from_dict, to_dict
from gradcheck_cli.targets import is_file, split

SCHEMA_VERSION = "1.0"
_LARGEST = 64 << 20  # bytes; an entry takes about 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """How a target was scanned when the baseline was written."""

    target: str  # as in the entries
    seed: int
    batches: int
    device: str
    dtype: str
    settings: str  # hash of what else the verdict depends on


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """A baseline file: its entries, and under what conditions each target was scanned."""

    schema_version: str = SCHEMA_VERSION
    tool_version: str = __version__
    targets: tuple[Conditions, ...] = ()
    findings: tuple[BaselineEntry, ...] = ()


def read_baseline(path: str) -> Baseline:
    """Read a baseline of this or an older minor version. Raises E683 for what is none, E684 for a newer major version."""
    try:
        file = Path(path)
        if file.stat().st_size > _LARGEST:
            raise ValueError(f"it has more than {_LARGEST >> 20} MiB")
        document = json.loads(file.read_bytes())  # finds a byte order mark, which an editor may leave
        if not isinstance(document, dict) or not isinstance(document.get("findings"), list):
            raise ValueError("it has no list of findings")
        version = str(document.get("schema_version", ""))
        if not _readable(version):
            raise GradcheckError(
                "E684",
                f"the baseline {path} has the form {version or 'unknown'}",
                f"this version of gradcheck reads {SCHEMA_VERSION.split('.')[0]}.x",
                "update gradcheck, or write the baseline anew",
            )
        return _consistent(from_dict(Baseline, document))
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from None
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError) as error:
        raise _unreadable(path, str(error).splitlines()[0] if str(error) else type(error).__name__) from None


def _consistent(baseline: Baseline) -> Baseline:
    """Raise ValueError for entries that a merge or an edit by hand has spoilt: they would accept what they do not say."""
    seen: set[str] = set()
    for entry in baseline.findings:
        said = f"the entry for {entry.code} at {entry.layer or '(model)'} of {entry.target}"
        if entry.fingerprint != fingerprint_of(entry.target, entry.code, entry.layer, entry.parameter):
            raise ValueError(f"{said} does not match its fingerprint")
        if entry.fingerprint in seen:
            raise ValueError(f"{said} stands there twice")
        seen.add(entry.fingerprint)
    return baseline


def _readable(version: str) -> bool:
    return version.partition(".")[0] == SCHEMA_VERSION.partition(".")[0]


def _unreadable(path: str, why: str) -> GradcheckError:
    return GradcheckError(
        "E683",
        f"cannot read the baseline {path}",
        why,
        f"write it with: gradcheck baseline write model.py --baseline {path}",
    )


def render_baseline(baseline: Baseline) -> str:
    """Write a baseline so that two of them differ in few lines: sorted, one value a line."""
    ordered = sorted(baseline.findings, key=lambda e: (e.target, e.code, e.layer, e.parameter or "", e.fingerprint))
    targets = sorted(baseline.targets, key=lambda how: how.target)
    document = to_dict(dataclasses.replace(baseline, targets=tuple(targets), findings=tuple(ordered)))
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def without_missing_files(baseline: Baseline, root: Path) -> Baseline:
    """Take out the entries of targets whose file is gone from the project."""

    def gone(target: str) -> bool:
        place = split(target)[0]
        return is_file(place) and not (root / place).exists()

    return dataclasses.replace(
        baseline,
        targets=tuple(how for how in baseline.targets if not gone(how.target)),
        findings=tuple(entry for entry in baseline.findings if not gone(entry.target)),
    )
