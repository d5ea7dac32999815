"""How trials show on the way, and what is left of a scan that ends while they run. The pipeline is stood in for."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest
from command import GRADCHECK, STAND_IN, environment
from test_output import on_a_terminal
from test_worker import scan

TRYING = """\
import dataclasses, os, signal, sys, time
from canned_reports import sick
from canned_trials import treated
from gradcheck_cli import phase

def scan(settings):
    whole = treated()
    untried = tuple(dataclasses.replace(p, status="not tried", reason="") for p in whole.prescriptions)
    phase.interim(dataclasses.replace(whole, trials=(), prescriptions=untried))
    with phase.part("trying `ReLU in place of Sigmoid`", done=3, of=8):
        phase.enter("looking again at suspects")
        {line}
    return whole
"""
ENDINGS = {
    "time.sleep(99)": "time was up while trying `ReLU in place of Sigmoid`; raise --timeout, or scan a smaller batch",
    "os.kill(os.getpid(), signal.SIGSEGV)": "native code crashed while trying `ReLU in place of Sigmoid`",
    "os.kill(os.getpid(), signal.SIGKILL)": "the scan was killed while trying `ReLU in place of Sigmoid`",
    "os._exit(0)": "the model's code ended the process while trying `ReLU in place of Sigmoid`",
    "bytearray(1 << 40)": "the scan ran out of memory",
    "raise ValueError('odd\\x1b')": "gradcheck itself failed: ValueError: odd\\x1b",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "temporary").mkdir()
    (tmp_path / ".git").mkdir()
    return tmp_path


@pytest.mark.parametrize("line", ENDINGS)
def test_the_verdict_outlives_an_end_during_trials(folder: Path, line: str) -> None:
    seconds = "4" if "sleep" in line else "60"
    done = scan(folder, TRYING.format(line=line), "--timeout", seconds, "--memory-limit", "4")
    assert done.returncode == 1
    assert done.stderr == ""
    assert f"              what the suggestions do: {ENDINGS[line]}\n" in done.stdout
    assert "error GC101 vanishing-gradient" in done.stdout
    assert "1. Xavier initialisation  [not tried: the trials were cut short]" in done.stdout
    assert "gradcheck fix" not in done.stdout
    assert list((folder / "temporary").iterdir()) == []


def test_trials_that_were_done_before_the_end_are_kept(folder: Path) -> None:
    half = "phase.interim(dataclasses.replace(whole, trials=whole.trials[:2])); os._exit(0)"
    document = json.loads(scan(folder, TRYING.format(line=half), "--format", "json").stdout)
    assert [t["outcome"] for t in document["trials"]] == ["cured", "improved"]
    reasons = {p["remedy"]: p["reason"] for p in document["prescriptions"]}
    assert reasons["batch-norm"] == ""
    assert reasons["xavier"] == "the trials were cut short"
    assert reasons["pretrained"] == "advice"


def test_the_traceback_of_such_an_end_is_shown_on_request(folder: Path) -> None:
    done = scan(folder, TRYING.format(line="raise ValueError('odd')"), "--traceback")
    assert done.returncode == 1
    assert "ValueError: odd" in done.stderr


def test_an_end_before_the_verdict_is_still_none(folder: Path) -> None:
    early = re.sub(r"    phase\.interim.*\n", "", TRYING).format(line="os._exit(0)")
    done = scan(folder, early)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error E565: the model's code ended the process while trying `ReLU in place of Sigmoid`\n")


def test_an_interrupted_trial_is_an_interrupted_scan(folder: Path) -> None:
    (folder / "model.py").write_text(TRYING.format(line="print('now', flush=True); time.sleep(99)"), "utf-8")
    command = subprocess.Popen(
        [str(GRADCHECK), "scan", "model.py"],
        cwd=folder,
        env=environment(PYTHONPATH=str(STAND_IN)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert command.stderr is not None
    assert command.stderr.readline() == "| now\n"
    command.send_signal(signal.SIGINT)
    shown, said = command.communicate(timeout=60)
    assert command.returncode == 130
    assert "error GC101 vanishing-gradient" in shown  # the verdict was reached before
    assert "[not tried: the trials were cut short]" in shown
    assert "error E573: interrupted\n  why   the trials were cut short" in said


def test_a_trial_that_never_returns_is_ended_with_the_budget(folder: Path) -> None:
    done = scan(folder, TRYING.format(line="time.sleep(99)"), "--try-budget", "0.001")
    assert done.returncode == 1
    assert "time was up while trying `ReLU in place of Sigmoid`; raise --try-budget" in done.stdout
    assert "error GC101 vanishing-gradient" in done.stdout


def test_a_bar_counts_the_trials_on_a_terminal(folder: Path) -> None:
    until_shown = "[time.sleep(0.05) for _ in range(600) if not os.path.exists('shown')]"
    (folder / "model.py").write_text(TRYING.format(line=until_shown), "utf-8")
    shown = on_a_terminal(folder, "model.py", awaited=b"3/8")
    seen = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown)
    assert re.search(r"[━╸]+\s* 3/8 model\.py: trying `ReLU in place of Sigmoid`", seen)
    (folder / "model.py").write_text(TRYING.format(line="time.sleep(0.5)"), "utf-8")
    assert "3/8" not in on_a_terminal(folder, "model.py", TERM="dumb")


def test_nothing_moves_on_a_pipe(folder: Path) -> None:
    done = scan(folder, TRYING.format(line="time.sleep(0.3)"))
    assert (done.returncode, done.stderr) == (1, "")
    assert "trials    a cure was found for 2 of 2 findings" in done.stdout


def test_a_summary_names_the_cure(folder: Path) -> None:
    done = scan(folder, TRYING.format(line="pass"), "-o", "report.txt")
    assert done.stderr.splitlines()[0].endswith("; a cure was found for 2 of 2 findings")
    assert os.path.getsize(folder / "report.txt") > 0
