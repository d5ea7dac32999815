"""Every shell command in the README and in docs/ is run, and what is shown below it is compared.

In a ```sh block each line is a command. A ```text block right after it shows its output: exactly, but for numbers (the last
digits differ between machines) and the blocks of pictures; a line `...` stands for any lines. A block marked with
<!-- set-up --> creates an environment first: here only its last command runs, in the environment that is there. The block
marked <!-- tests --> is what runs this test. DOCS=write in the environment writes outputs without `...` anew.
"""

import math
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted([ROOT / "README.md", ROOT / "SECURITY.md", *ROOT.glob("docs/*.md")])
BLOCK = re.compile(r"(?:<!-- (?P<mark>[\w-]+) -->\n)?```sh\n(?P<code>.*?)```(?:\n\n```text\n(?P<shown>.*?)```)?", re.DOTALL)
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e-?\d+)?")
SPREAD = re.compile(rf"({NUMBER.pattern}) ± ({NUMBER.pattern})")


def _blocks() -> list[tuple[Path, re.Match[str]]]:
    return [(file, block) for file in FILES for block in BLOCK.finditer(file.read_text("utf-8"))]


def _run(command: str) -> str:
    words = shlex.split(command)
    assert Path(words[0]).name in ("gradcheck", "python"), f"what is {words[0]}?"
    program = Path(sys.executable).with_name(Path(words[0]).name)
    done = subprocess.run(
        [str(program), *words[1:]],
        cwd=ROOT,
        # With time for all trials: how fast the machine is must not decide which of them are shown.
        env={**os.environ, "COLUMNS": "80", "NO_COLOR": "1", "GRADCHECK_TRY_BUDGET": "240"},
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done.stdout


def _skeleton(line: str) -> str:
    return " ".join(NUMBER.sub("#", re.sub(r"[▁-▏]+", "", line)).split())


def same(shown: str, real: str) -> bool:
    """Compare two lines: words exactly, numbers to 10 %, or to one unit of the last digit shown where that is more.

    A training run multiplies the differences between machines; where a number comes with its spread, that is how near it is.
    """
    if _skeleton(shown) != _skeleton(real):
        return False
    for one, other in zip(SPREAD.findall(shown), SPREAD.findall(real), strict=True):
        (a, spread_of_a), (b, spread_of_b) = map(float, one), map(float, other)
        if abs(a - b) > max(spread_of_a, spread_of_b) or not math.isclose(spread_of_a, spread_of_b, rel_tol=0.5):
            return False
    pairs = zip(*(NUMBER.findall(SPREAD.sub("", line)) for line in (shown, real)), strict=True)
    return all(
        math.isclose(float(a), float(b), rel_tol=0.1, abs_tol=1.1 * min(_last_digit(a), _last_digit(b))) for a, b in pairs
    )


def _last_digit(number: str) -> float:
    """Return what the last digit counts: a measured value beside a rounding limit shows one more or less elsewhere.

    A whole number counts something and has no such digit.
    """
    mantissa, _, exponent = number.partition("e")
    places = len(mantissa.partition(".")[2])
    return 10.0 ** (int(exponent or 0) - places) if places or exponent else 0.0


def matches(shown: list[str], real: list[str]) -> bool:
    if not shown:
        return not real
    if shown[0] == "...":
        return any(matches(shown[1:], real[i:]) for i in range(len(real) + 1))
    return bool(real) and same(shown[0], real[0]) and matches(shown[1:], real[1:])


@pytest.mark.parametrize(("file", "block"), _blocks(), ids=lambda v: v.name if isinstance(v, Path) else v["code"][:40].strip())
def test_shown_commands_do_what_is_shown(file: Path, block: re.Match[str]) -> None:
    if block["mark"] == "tests":
        pytest.skip("this is the command that runs the tests")
    code = block["code"].rsplit(" && ", 1)[-1] if block["mark"] == "set-up" else block["code"]
    output = "".join(_run(line) for line in code.splitlines() if line.strip())
    if block["shown"] is None:
        return
    if os.environ.get("DOCS") == "write" and "\n...\n" not in "\n" + block["shown"]:
        text = file.read_text("utf-8")
        file.write_text(text.replace(block[0], block[0][: -len(block["shown"]) - 3] + output + "```"), "utf-8")
        return
    assert matches(block["shown"].splitlines(), output.splitlines()), output


def test_comparison_sees_other_words_other_sizes_and_missing_lines() -> None:
    assert matches(["a 1.00", "...", "z"], ["a 1.01", "b", "c", "z"])
    assert matches(["input -17.9 ▁▂▃ -0.9 loss"], ["input -17.9 ▁▁▃ -0.9 loss"])
    assert matches(["a 2e-07 and 0.9"], ["a 1e-07 and 1.0"])
    assert not matches(["a 2e-07"], ["a 4e-07"])
    assert matches(["a 2.24 → 0.77 ± 0.30"], ["a 2.24 → 0.98 ± 0.40"])
    assert not matches(["a 2.24 → 0.77 ± 0.30"], ["a 2.24 → 1.27 ± 0.30"])
    assert not matches(["a 2.24 → 0.77 ± 0.30"], ["a 2.24 → 0.77 ± 0.70"])
    assert not matches(["a 2.24 → 0.77 ± 0.30"], ["a 2.64 → 0.77 ± 0.30"])
    assert not matches(["1 error"], ["2 errors"])
    assert not matches(["1 of 5"], ["2 of 5"])
    assert not matches(["a 1.00"], ["b 1.00"])
    assert not matches(["a 1e-7"], ["a 1e-5"])
    assert not matches(["a", "b"], ["a"])
    assert not matches(["a"], ["a", "b"])


def test_links_between_pages_lead_somewhere() -> None:
    for file in [*FILES, *ROOT.glob("docs/rules/*.md")]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", file.read_text("utf-8")):
            assert (file.parent / target).exists(), f"{file.name} links to {target}"


def test_the_changelog_has_the_customary_form() -> None:
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert re.match(r"# Changelog\n.*?\n## Unreleased\n", text, re.DOTALL)
    assert set(re.findall(r"^### (.*)$", text, re.MULTILINE)) <= {
        "Added",
        "Changed",
        "Deprecated",
        "Removed",
        "Fixed",
        "Security",
    }
