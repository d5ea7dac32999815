"""What a model's file can do to the process it runs in, and what a person then reads. The pipeline is stood in for."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import time
from pathlib import Path

import pytest
from command import GRADCHECK, STAND_IN, environment, gradcheck

HEALTHY = "from canned_reports import healthy\ndef scan(settings):\n    return healthy()\n"
SICK = "from canned_reports import sick\ndef scan(settings):\n    return sick()\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "temporary").mkdir()
    (tmp_path / ".git").mkdir()
    return tmp_path


def scan(folder: Path, code: str, *options: str, **env: str) -> subprocess.CompletedProcess[str]:
    (folder / "model.py").write_text(code, "utf-8")
    return gradcheck("scan", "model.py", *options, cwd=folder, stand_in=True, env={"TMPDIR": str(folder / "temporary"), **env})


def doing(line: str) -> str:
    return f"import os, signal, sys, threading, time\nfrom canned_reports import healthy\ndef scan(settings):\n    {line}\n"


def test_a_healthy_model_exits_with_0_and_a_sick_one_with_1(folder: Path) -> None:
    assert scan(folder, HEALTHY).returncode == 0
    sick = scan(folder, SICK)
    assert sick.returncode == 1
    assert "error GC101 vanishing-gradient" in sick.stdout
    assert sick.stderr == ""


@pytest.mark.parametrize(("level", "code"), [("error", 0), ("warning", 1), ("note", 1)])
def test_fail_on_decides_from_which_severity_on_the_exit_code_is_1(folder: Path, level: str, code: int) -> None:
    warning = "import dataclasses\nfrom canned_reports import sick\ndef scan(settings):\n    one = sick()\n"
    warning += "    return dataclasses.replace(one, findings=one.findings[1:])\n"
    assert scan(folder, warning, "--fail-on", level).returncode == code


def test_prints_of_the_model_go_to_stderr_and_cannot_command_a_terminal_or_a_log(folder: Path) -> None:
    code = doing("print('\\x1b[2J::error::x'); os.write(1, b'::error::y\\n'); return healthy()")
    done = scan(folder, code, "--format", "json")
    json.loads(done.stdout)
    assert sorted(done.stderr.splitlines()) == ["| \\x1b[2J::error::x", "| \\x3a:error::y"]
    assert scan(folder, code, "--quiet").stderr == ""


def test_endless_prints_are_capped_and_do_not_block(folder: Path) -> None:
    done = scan(folder, doing("[print('x' * 999) for _ in range(9000)]; return healthy()"))
    assert done.returncode == 0
    assert len(done.stderr) < 1.1 * (1 << 20)


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_a_closed_stream_changes_no_exit_code(folder: Path, closed: str) -> None:
    (folder / "model.py").write_text(SICK, "utf-8")
    variables = environment(TMPDIR=str(folder / "temporary"), PYTHONPATH=str(STAND_IN))
    assert subprocess.run(["sh", "-c", f"{GRADCHECK} scan model.py {closed}"], cwd=folder, env=variables).returncode == 1


def test_standard_input_is_closed_and_arguments_after_two_dashes_arrive(folder: Path) -> None:
    code = doing("print(repr(sys.stdin.read()), settings.script_args); return healthy()")
    assert scan(folder, code, "--", "--epochs", "3").stderr == "| '' ('--epochs', '3')\n"


def test_a_process_that_cannot_start_is_no_fault_of_the_model(folder: Path) -> None:
    done = scan(folder, HEALTHY, "--memory-limit", "0.01")
    assert done.returncode == 2
    assert "error E565: Python could not start the process of the scan" in done.stderr


def test_the_arguments_of_the_worker_are_not_the_models(folder: Path) -> None:
    done = scan(folder, doing("print(len(sys.argv)); return healthy()"))
    assert done.stderr == "| 1\n"


def test_a_thread_that_never_ends_does_not_hold_the_result_back(folder: Path) -> None:
    done = scan(folder, doing("threading.Thread(target=time.sleep, args=(99,)).start(); return healthy()"))
    assert done.returncode == 0


ENDINGS = {
    "os._exit(0)": """\
error E565: the model's code ended the process while scanning
  why   it called os._exit or something like it (status 0), so there is no result
  hint  take the exit out of what runs while the model is built and called
""",
    "os.kill(os.getpid(), signal.SIGSEGV)": """\
error E565: native code crashed while scanning
  why   the process got SIGSEGV
  hint  see --traceback for the Python lines that led there
""",
    "signal.signal(signal.SIGTERM, signal.SIG_DFL); os.kill(os.getpid(), signal.SIGTERM)": """\
error E565: the scan was ended while scanning
  why   the process got SIGTERM, from outside or from the model's own code
  hint  run it again; if it ends at the same place, see --traceback for the Python lines that led there
""",
    "os.kill(os.getpid(), signal.SIGKILL)": """\
error E564: the scan was killed while scanning
  why   the system kills a process that takes too much memory
  hint  use a smaller batch, or set --memory-limit to get the place where memory runs out
""",
    "bytearray(1 << 40)": """\
error E564: the scan ran out of memory
  why   an allocation failed
  hint  use a smaller batch, or raise --memory-limit
""",
    "sys.exit(0)": """\
error E561: the model's code ended the program (SystemExit)
  why   a model must return from its forward pass
  hint  see --traceback for the line, and take the exit out
""",
    "raise KeyboardInterrupt": """\
error E561: the model's code ended the program (KeyboardInterrupt)
  why   a model must return from its forward pass
  hint  see --traceback for the line, and take the exit out
""",
    "raise type('Stop', (BaseException,), {})": """\
error E561: the model's code ended the program (Stop)
  why   a model must return from its forward pass
  hint  see --traceback for the line, and take the exit out
""",
    "raise ValueError('odd\\x1b')": """\
error E599: gradcheck itself failed: ValueError: odd\\x1b
  why   this is a fault of gradcheck, not of your model
  hint  please report it with the output of --traceback
""",
    "raise type('Odd', (ValueError,), {'__str__': lambda self: 1 / 0})": """\
error E599: gradcheck itself failed: Odd:
  why   this is a fault of gradcheck, not of your model
  hint  please report it with the output of --traceback
""",
    "f = lambda: f(); f()": """\
error E566: a function calls itself without end
  why   maximum recursion depth exceeded
  hint  see --traceback for the function
""",
}


@pytest.mark.parametrize("line", ENDINGS)
def test_however_the_process_ends_there_is_no_verdict_and_no_traceback(folder: Path, line: str) -> None:
    done = scan(folder, doing(line), "--memory-limit", "4")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", ENDINGS[line])


@pytest.mark.parametrize(
    ("line", "seconds", "seen"),
    [
        ("raise ValueError('odd')", "60", "ValueError: odd"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "60", "Fatal Python error: Segmentation fault"),
        ("time.sleep(99)", "4", 'model.py", line 4 in scan'),
    ],
)
def test_a_traceback_is_shown_on_request(folder: Path, line: str, seconds: str, seen: str) -> None:
    done = scan(folder, doing(line), "--traceback", "--timeout", seconds)
    assert done.returncode == 2
    assert seen in done.stderr


def test_time_is_limited_for_the_process_and_all_it_has_started(folder: Path) -> None:
    lines = "import subprocess; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(subprocess.Popen(['sleep', '99']).pid)"
    begun = time.monotonic()
    done = scan(folder, doing(f"{lines}; time.sleep(99)"), "--timeout", "4")
    taken = time.monotonic() - begun
    child = int(done.stderr.splitlines()[0].removeprefix("| "))
    assert done.returncode == 2
    assert done.stderr.splitlines()[1:] == [
        "error E563: no verdict after 4 s",
        "  why   time was up while scanning",
        "  hint  raise --timeout, or scan a smaller batch",
    ]
    assert taken < 60  # neither the model nor its child was waited for
    assert _ends(child)


def _ends(process: int) -> bool:
    """Wait for the end of a process that was killed; the system takes a moment."""
    deadline = time.monotonic() + 20
    while _alive(process) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not _alive(process)


def _alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [(signal.SIGINT, 130, "error E573: interrupted"), (signal.SIGTERM, 143, ""), (signal.SIGKILL, -9, "")],
)
def test_nothing_is_left_behind_when_the_command_is_interrupted(folder: Path, number: int, code: int, said: str) -> None:
    wait = "print(os.getpid(), flush=True); time.sleep(60); print('slept', flush=True); return healthy()"
    (folder / "model.py").write_text(doing(wait), "utf-8")
    variables = environment(TMPDIR=str(folder / "temporary"), PYTHONPATH=str(STAND_IN))
    command = subprocess.Popen(
        [str(GRADCHECK), "scan", "model.py"], cwd=folder, env=variables, stderr=subprocess.PIPE, text=True
    )
    assert command.stderr is not None
    worker = int(command.stderr.readline().removeprefix("| "))
    command.send_signal(number)
    said_then = command.stderr.read()
    assert command.wait(60) == code
    assert said_then.startswith(said)
    assert "slept" not in said_then  # it was ended, and not waited for
    assert "Traceback" not in said_then
    assert _ends(worker)
    if number != signal.SIGKILL:
        assert list((folder / "temporary").iterdir()) == []


def test_no_folder_is_left_after_a_verdict_or_an_error(folder: Path) -> None:
    for code in (HEALTHY, doing("os._exit(3)")):
        scan(folder, code)
        assert list((folder / "temporary").iterdir()) == []


def test_the_main_thread_has_a_large_stack_and_other_threads_do_not(folder: Path) -> None:
    """Freeing a deep graph needs the stack; a gigabyte for each thread would burst a memory limit."""
    code = doing(
        "import resource; print(resource.getrlimit(resource.RLIMIT_STACK)[0] >> 20);"
        " [threading.Thread(target=time.sleep, args=(1,)).start() for _ in range(20)]; return healthy()"
    )
    done = scan(folder, code, "--memory-limit", "3")
    assert done.returncode == 0, done.stderr
    _, hard = resource.getrlimit(resource.RLIMIT_STACK)
    mib = 1024 if hard == resource.RLIM_INFINITY else min(1024, hard >> 20)
    assert done.stderr == f"| {mib}\n"


def test_threads_are_passed_on_to_torch(folder: Path) -> None:
    assert scan(folder, doing("import torch; print(torch.threads); return healthy()"), "--threads", "1").stderr == "| 1\n"


def test_settings_arrive_in_the_worker_as_they_were_given(folder: Path) -> None:
    code = doing("print(settings.init, settings.select, settings.lr, settings.exact); return healthy()")
    done = scan(folder, code, "--init", "width=8", "--select", "ALL,GC1", "--lr", "0.1", "--exact")
    assert done.stderr == "| {'width': 8} ('ALL', 'GC1') 0.1 True\n"


def test_torch_that_cannot_be_imported_is_e570(folder: Path) -> None:
    (folder / "broken").mkdir()
    (folder / "broken" / "torch.py").write_text("raise ImportError('libtorch.so is missing')")
    (folder / "model.py").write_text(HEALTHY)
    variables = environment(PYTHONPATH=os.pathsep.join([str(folder / "broken"), str(STAND_IN)]))
    done = subprocess.run(
        [str(GRADCHECK), "scan", "model.py"], cwd=folder, env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == "error E570: torch cannot be imported"
    assert "libtorch.so is missing" in done.stderr
