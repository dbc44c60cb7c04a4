"""What every benchmark does: measure commands, and print one JSON object as its last line."""

from __future__ import annotations

import json
import resource
import subprocess
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def report(name: str, figures: dict[str, Any]) -> None:
    """Print the benchmark's last line."""
    print(json.dumps({"benchmark": name, "figures": figures}, ensure_ascii=False))


def timed(command: list[str], **options: Any) -> tuple[float, float]:
    """Run a command to its end; wall time and CPU time of it and its children that it waited for, s."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begin = time.perf_counter()
    subprocess.run(command, check=True, **options)
    wall = time.perf_counter() - begin
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
