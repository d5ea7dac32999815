"""What a finding is known by from one scan to the next."""

from __future__ import annotations

import hashlib
import json

from gradcheck_cli.records import Finding
from gradcheck_cli.rules import gc901_unused_suppression


def fingerprint(identity: str, finding: Finding) -> str:
    """Return what a finding is known by. GC901 is about no layer, but about the rule that its suppression names."""
    about = finding.facts.get("selector") if finding.code == gc901_unused_suppression.RULE.code else finding.parameter
    return fingerprint_of(identity, finding.code, finding.layer, about)


def fingerprint_of(target: str, code: str, layer: str, parameter: str | None) -> str:
    """Return 32 hex digits made of target, code, layer and parameter: never of numbers, messages or lines."""
    known_by = json.dumps([target, code, layer, parameter])
    return hashlib.blake2b(known_by.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
