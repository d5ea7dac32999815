"""`gradcheck fix`: exit codes, the diff, what --write does to files, and what it refuses. The scan is stood in for."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import time
from pathlib import Path

import pytest
from command import GRADCHECK, STAND_IN, environment, gradcheck

# A file whose scan finds the Sigmoid that its own text names, and cures it on a copy by ReLU.
SICK = """\
import dataclasses
from pathlib import Path
from canned_reports import healthy, sick
from gradcheck_cli.records import Edit, LayerProfile, SourceSite, Trial

if False:
    from torch import nn


def build():
    return nn.Sigmoid()  # keep me


def scan(settings):
    text = Path(settings.overlay.get(str(Path("model.py").resolve()), "model.py")).read_text("utf-8", "replace")
    if "return nn." + "Sigmoid()" not in text:
        return healthy()
    report = sick()
    finding = dataclasses.replace(report.findings[0], layer="act", affected=())
    layer = LayerProfile(
        name="act", kind="Sigmoid", role="activation", order=1, calls=1, state="measured", leaf=True,
        site=SourceSite(file="model.py", line=11),
    )
    profile = dataclasses.replace(report.profiles[0], target="model.py", layers=(layer,))
    trial = Trial(
        remedies=("relu",), title="Switch to ReLU", code=finding.code, layer="act", objective=finding.objective,
        edits=(Edit(kind="activation", layers=("act",), options={"to": "relu"}),), outcome="OUTCOME",
    )
    return dataclasses.replace(report, profiles=(profile,), findings=(finding,), trials=(trial,), prescriptions=())
"""
CURED = SICK.replace("OUTCOME", "cured")
PATCHED = CURED.replace("return nn.Sigmoid()", "return nn.ReLU()")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "temporary").mkdir()
    (tmp_path / ".git").mkdir()
    (tmp_path / "model.py").write_text(CURED)
    return tmp_path


def fix(folder: Path, *options: str, **env: str) -> subprocess.CompletedProcess[str]:
    return gradcheck("fix", "model.py", *options, cwd=folder, stand_in=True, env={"TMPDIR": str(folder / "temporary"), **env})


def _commit(folder: Path) -> None:
    (folder / ".git").rmdir()
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["add", "model.py"], [*who, "commit", "-q", "-m", "one"]):
        subprocess.run(["git", *command], cwd=folder, check=True, capture_output=True)


def test_the_diff_applies_with_patch_and_touches_nothing_itself(folder: Path) -> None:
    before = (folder / "model.py").stat().st_mtime_ns
    done = fix(folder)
    assert done.returncode == 0
    assert done.stderr.startswith("cures GC101 vanishing-gradient at `act`: Switch to ReLU (drop 17.0 → ")
    assert done.stderr.endswith("apply it with: gradcheck fix model.py --write, or gradcheck fix model.py | patch -p1\n")
    assert (folder / "model.py").stat().st_mtime_ns == before
    subprocess.run(["patch", "-p1", "--quiet"], input=done.stdout, text=True, cwd=folder, check=True)
    assert (folder / "model.py").read_text() == PATCHED
    assert os.listdir(folder / "temporary") == []


def test_the_command_that_applies_has_the_same_options(folder: Path) -> None:
    done = fix(folder, "--lr", "0.1", "--", "a b")
    assert done.stderr.endswith(
        "gradcheck fix model.py --lr 0.1 --write -- 'a b', or gradcheck fix model.py --lr 0.1 -- 'a b' | patch -p1\n"
    )


def test_writing_keeps_the_old_text_and_the_mode(folder: Path) -> None:
    (folder / "model.py").chmod(0o755)
    for name in ("model.py.orig", "model.py.orig.1"):
        (folder / "model.py").write_text(CURED)
        done = fix(folder, "--write")
        assert (done.returncode, done.stdout) == (0, "")
        assert f"model.py written; the old text is in {name}\n" in done.stderr
        assert (folder / name).read_text() == CURED
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o755
        assert (folder / "model.py").read_text() == PATCHED
    assert stat.S_IMODE((folder / "model.py").stat().st_mode) == 0o755


def test_git_shows_the_same_diff_and_needs_no_backup(folder: Path) -> None:
    _commit(folder)
    shown = fix(folder).stdout
    done = fix(folder, "--write")
    assert "git has the old text" in done.stderr
    assert not (folder / "model.py.orig").exists()
    told = subprocess.run(["git", "diff"], cwd=folder, capture_output=True, text=True, check=True).stdout
    assert told.partition("--- ")[2].splitlines()[2:] != []
    assert [x for x in told.splitlines() if x[:1] in "+-"] == [x for x in shown.splitlines() if x[:1] in "+-"]


def test_a_file_that_git_has_otherwise_is_backed_up(folder: Path) -> None:
    (folder / "model.py").write_text(CURED + "\n")
    _commit(folder)
    (folder / "model.py").write_text(CURED)
    assert "model.py.orig" in fix(folder, "--write").stderr


def test_a_link_stays_one(folder: Path) -> None:
    (folder / "model.py").rename(folder / "real.py")
    (folder / "model.py").symlink_to("real.py")
    fix(folder, "--write")
    assert (folder / "model.py").is_symlink()
    assert (folder / "real.py").read_text().count("nn.ReLU()") == 1


def test_a_file_that_changes_meanwhile_is_left_alone(folder: Path) -> None:
    meanwhile = '    if settings.overlay:\n        Path("model.py").write_text("# another\\n")\n    if "return nn."'
    (folder / "model.py").write_text(CURED.replace('    if "return nn."', meanwhile))
    done = fix(folder, "--write")
    assert done.returncode == 2
    assert "it has changed since it was read" in done.stderr
    assert (folder / "model.py").read_text() == "# another\n"
    assert not (folder / "model.py.orig").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="this user writes everything")
def test_a_write_protected_file_is_left_alone(folder: Path) -> None:
    (folder / "model.py").chmod(0o444)
    done = fix(folder, "--write")
    assert (done.returncode, "write-protected" in done.stderr) == (2, True)


def test_a_file_elsewhere_is_named_from_its_own_folder(folder: Path) -> None:
    away = folder / "away"
    away.mkdir()
    text = CURED.replace('file="model.py"', 'file="../model.py"').replace('target="model.py"', 'target="../model.py"')
    (folder / "model.py").write_text(
        text.replace('Path("model.py").resolve()), "model.py"', 'Path("../model.py").resolve()), "../model.py"')
    )
    done = gradcheck("fix", "../model.py", cwd=away, stand_in=True)
    assert f"the diff is to be applied in {folder}\n" in done.stderr
    assert done.stderr.endswith(f"gradcheck fix ../model.py | patch -p1 -d {folder}\n")
    subprocess.run(["patch", "-p1", "--quiet"], input=done.stdout, text=True, cwd=folder, check=True)
    assert "return nn.ReLU()" in (folder / "model.py").read_text()


def test_nothing_to_fix_is_success(folder: Path) -> None:
    (folder / "model.py").write_text(PATCHED)
    done = fix(folder)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("model.py: nothing to fix")


def test_without_a_cure_it_says_so_and_exits_with_2(folder: Path) -> None:
    (folder / "model.py").write_text(SICK.replace("OUTCOME", "no effect"))
    done = fix(folder, "--write")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "no patch for GC101 vanishing-gradient at `act`: nothing that was tried cures a copy\n  Switch to ReLU: no effect\n"
    )
    assert not (folder / "model.py.orig").exists()


def test_a_cure_that_does_not_hold_in_the_source_is_dropped_with_its_snippet(folder: Path) -> None:
    stubborn = CURED.replace('if "return nn." + "Sigmoid()" not in text', "if False").replace(
        "prescriptions=())", "prescriptions=(dataclasses.replace(report.prescriptions[0], remedy='relu', layer='act'),))"
    )
    (folder / "model.py").write_text(stubborn)
    done = fix(folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert "GC101 vanishing-gradient is still found in the patched source" in done.stderr
    assert "\n  | " in done.stderr


# A first cure that has no form in source; the second suggestion comes to OUTCOME where all are tried.
SECOND = SICK.replace(
    "    return dataclasses.replace(report, profiles",
    """\
    good = dataclasses.replace(trial, outcome="OUTCOME")
    other = Edit(kind="elsewhere", layers=("act",))
    first = dataclasses.replace(trial, outcome="cured", title="Switch afar", remedies=("afar",), edits=(other,))
    suggested = dataclasses.replace(
        report.prescriptions[0], title="Switch to ReLU", layer="act", edits=trial.edits, status="not tried", reason="no time"
    )
    trials = [first, good] if settings.try_all and settings.try_budget >= 60 else FIRST
    report = dataclasses.replace(report, prescriptions=(suggested,))
    return dataclasses.replace(report, profiles=(profile,), findings=(finding,), trials=tuple(trials))
    return dataclasses.replace(report, profiles""",
)


def _second(outcome: str, first: str = "[first]") -> str:
    text = SECOND.replace('outcome="OUTCOME",\n', 'outcome="cured",\n').replace("FIRST", first)
    return text.replace("OUTCOME", outcome)


def test_where_the_first_cure_cannot_be_written_all_are_tried(folder: Path) -> None:
    (folder / "model.py").write_text(_second("cured"))
    done = fix(folder)
    assert done.returncode == 0
    assert done.stderr.startswith(
        "the first cure cannot be written into the source, so all suggestions are tried now:\n"
        "  Switch afar for GC101 vanishing-gradient at `act`: a change of kind `elsewhere` has no form in source\n"
    )
    assert "\n  passed over: Switch afar: a change of kind `elsewhere` has no form in source\n" in done.stderr
    assert "unproven" not in done.stderr


def test_a_suggestion_that_does_not_cure_when_tried_is_not_written(folder: Path) -> None:
    (folder / "model.py").write_text(_second("worse"))
    done = fix(folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert "\n  | " in done.stderr


def test_without_time_for_any_trial_a_suggestion_is_called_unproven(folder: Path) -> None:
    (folder / "model.py").write_text(_second("cured", "[]"))
    done = fix(folder)
    assert done.returncode == 0
    assert "; unproven: not trained" in done.stderr


def test_of_two_cures_the_one_that_trains_worse_comes_last(folder: Path) -> None:
    training = (
        'TrainingProbe(steps=1, optimizer="SGD", original=TrainingRuns(start=(1.0,), end=(1.0,)),'
        ' edited=TrainingRuns(start=(1.0,), end=(2.0,)), comparable=True, verdict="worse")'
    )
    worse = f'dataclasses.replace(trial, title="Another", outcome="cured", training={training})'
    text = _second("cured", f"[{worse}, good]").replace(
        "SourceSite, Trial\n", "SourceSite, TrainingProbe, TrainingRuns, Trial\n"
    )
    (folder / "model.py").write_text(text)
    assert fix(folder).stderr.startswith("cures GC101 vanishing-gradient at `act`: Switch to ReLU (")


def test_what_nothing_could_be_tried_for_says_why_and_shows_the_first_snippet(folder: Path) -> None:
    text = _second("cured", "[]").replace('edits=trial.edits, status="not tried"', 'edits=(), status="not tried"')
    (folder / "model.py").write_text(text)
    done = fix(folder)
    assert done.returncode == 2
    assert done.stderr.startswith(
        "no patch for GC101 vanishing-gradient at `act`: nothing could be tried\n  Switch to ReLU: no time\n  | "
    )


def test_what_the_patch_leaves_stands_in_the_last_line(folder: Path) -> None:
    text = CURED.replace("        return healthy()", "        return dataclasses.replace(sick(), findings=sick().findings[1:])")
    text = text.replace("findings=(finding,)", "findings=(finding, report.findings[1])")
    (folder / "model.py").write_text(text)
    done = fix(folder)
    assert done.returncode == 0
    assert done.stderr.endswith("| patch -p1\nnot cured by this patch: GC202 saturation at `net.39`\n")
    assert "no patch for GC202 saturation at `net.39`: there is no suggestion for it\n" in done.stderr


def test_a_patch_that_breaks_the_file_is_dropped(folder: Path) -> None:
    broken = CURED.replace("        return healthy()", "        raise SystemExit(3)")
    (folder / "model.py").write_text(broken)
    done = fix(folder)
    assert done.returncode == 2
    assert "the patched source does not run" in done.stderr


def test_text_that_is_not_utf8_is_refused(folder: Path) -> None:
    (folder / "model.py").write_bytes(b"# -*- coding: latin-1 -*-\n# \xe9\n" + CURED.replace("line=11", "line=13").encode())
    done = fix(folder)
    assert done.returncode == 2
    assert "is encoded in iso-8859-1" in done.stderr


def test_a_byte_order_mark_and_windows_line_ends_stay(folder: Path) -> None:
    (folder / "model.py").write_bytes(b"\xef\xbb\xbf" + CURED.replace("\n", "\r\n").encode())
    assert fix(folder, "--write").returncode == 0
    assert (folder / "model.py").read_bytes() == b"\xef\xbb\xbf" + PATCHED.replace("\n", "\r\n").encode()


def test_a_file_without_a_last_line_end(folder: Path) -> None:
    (folder / "model.py").write_text(CURED.rstrip("\n") + "  # the end")
    done = fix(folder)
    subprocess.run(["patch", "-p1", "--quiet"], input=done.stdout, text=True, cwd=folder, check=True)
    assert (folder / "model.py").read_text() == PATCHED.rstrip("\n") + "  # the end"


def test_weights_have_no_source(folder: Path) -> None:
    (folder / "model.pt").write_bytes(b"")
    done = gradcheck("fix", "model.pt", cwd=folder, stand_in=True)
    assert done.returncode == 2
    assert "E690" in done.stderr


def test_an_interrupt_ends_with_130_and_changes_nothing(folder: Path) -> None:
    slow = CURED.replace("    text = ", '    Path("begun").touch()\n    import time; time.sleep(60)\n    text = ')
    (folder / "model.py").write_text(slow)
    variables = environment(PYTHONPATH=str(STAND_IN), TMPDIR=str(folder / "temporary"))
    process = subprocess.Popen(
        [str(GRADCHECK), "fix", "model.py", "--write"], cwd=folder, env=variables, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while not (folder / "begun").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, "interrupted" in said) == (130, True)
    assert (folder / "model.py").read_text() == slow
    assert os.listdir(folder / "temporary") == []
