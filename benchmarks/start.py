"""How soon the command line answers: `hashigo --help` against `verdi --help`, best of several, in turn."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from common import report, timed

REPEATS = 7


def main() -> None:
    folder = Path(sys.executable).parent
    best = {}
    for _ in range(REPEATS):
        for name in ("hashigo", "verdi"):
            wall, cpu = timed([str(folder / name), "--help"], stdout=subprocess.DEVNULL)
            best[name] = min(best.get(name, (1e9, 1e9)), (wall, cpu))
    ours, peer = best["hashigo"], best["verdi"]
    report(
        "start",
        {
            "help_ratio": round(ours[0] / peer[0], 3),
            "help_cpu_ratio": round(ours[1] / peer[1], 3),
            "hashigo_help_s": round(ours[0], 3),
            "verdi_help_s": round(peer[0], 3),
        },
    )


if __name__ == "__main__":
    main()
