"""How a program that an engine starts is told from one that fails."""

from __future__ import annotations

import subprocess
import sys

import pytest

from hashigo.calculators.engines.frame_calculator import run_program
from hashigo.errors import WorkerError


def run(folder, code, **more):
    run_program([sys.executable, "-c", f"import sys, os\n{code}"], folder, "out", **more)


def test_the_last_words_of_a_program_are_told(tmp_path):
    code = "print('library libxc.so is missing\\n-----', file=sys.stderr); sys.exit(3)"
    with pytest.raises(WorkerError, match=r"its program stopped: library libxc\.so is missing$"):
        run(tmp_path, code)
    with pytest.raises(WorkerError, match="its program stopped: too few bands"):
        run(tmp_path, code, why=lambda folder: "too few bands")


def test_a_signal_and_silence_are_told_by_the_status(tmp_path):
    with pytest.raises(subprocess.CalledProcessError) as killed:
        run(tmp_path, "print('half', file=sys.stderr, flush=True); os.kill(os.getpid(), 9)")
    assert killed.value.returncode == -9
    with pytest.raises(subprocess.CalledProcessError):
        run(tmp_path, "sys.exit(3)")
    run(tmp_path, "print('done')")
    assert (tmp_path / "out").read_text() == "done\n"
