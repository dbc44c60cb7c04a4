"""What a committee of polynomial potentials costs, over one model by pypolymlp's compiled evaluator.

Energies, forces and stresses of the mean and all members together (`Committee.evaluate_all`), and of one model by
pypolymlp from a structure already in its format, on one thread, in turn, the least CPU time of the repeats. Structures
are displaced supercells of 64 atoms; coefficients are random, since the cost does not depend on them.

`committee_cost` is the highest ratio of all cases (aim: at most 4); `one_by_one` is what the members cost one after the
other. `first_call` is the CPU time of the first evaluation of an installation, which compiles, and of that of a later
process.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk
from common import report
from pypolymlp.cxx.lib import libmlpcpp

from hashigo.calculators.workers.committee.together import PolynomialCommittee
from hashigo.calculators.workers.fitting import polymlp_parameters
from hashigo.calculators.workers.polynomial import PolynomialModel, polynomial_text, to_polymlp
from hashigo.calculators.workers.training import DEFAULTS

AIM = 4.0
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
MODELS = {
    "default": DEFAULTS,
    "small": {**DEFAULTS, "cutoff": 5.0, "radial_functions": 5, "invariant_max_l": [4, 4]},
}
CRYSTALS = {
    "silicon": bulk("Si", "diamond", 5.43, cubic=True),
    "sodium chloride": bulk("NaCl", "rocksalt", 5.64, cubic=True),
}


def models_of(elements: list[str], settings: dict[str, Any], count: int) -> list[PolynomialModel]:
    """Models of random coefficients."""
    parameters = polymlp_parameters(elements, settings, dict.fromkeys(elements, 0.0))[0]
    names = libmlpcpp.FeaturesAttr(parameters.as_dict())
    size = len(names.get_radial_ids()) + len(names.get_polynomial_ids())
    generator = np.random.default_rng(0)
    texts = [polynomial_text(parameters, 1e-3 * generator.normal(size=size)) for _ in range(count)]
    return [PolynomialModel(text) for text in texts]


def displaced(crystal: Atoms) -> Atoms:
    """A supercell of 64 atoms off their sites."""
    atoms = crystal.repeat(2)
    atoms.positions += 0.05 * np.random.default_rng(1).normal(size=atoms.positions.shape)
    return atoms


def cpu(call: Callable[[], Any]) -> float:
    """CPU time of a call, s."""
    begin = time.process_time()
    call()
    return time.process_time() - begin


def case(crystal: str, name: str, options: Any) -> dict[str, Any]:
    """One crystal and one model."""
    atoms = displaced(CRYSTALS[crystal])
    elements = sorted(set(atoms.get_chemical_symbols()))
    models = models_of(elements, MODELS[name], options.members + 1)
    committee, single = PolynomialCommittee(models), PolynomialCommittee(models[:1])
    preparation = cpu(lambda: committee.evaluate([atoms]))
    single.evaluate([atoms])
    known, found = models[0].evaluate([atoms])[0], committee.evaluate([atoms])[0].mean
    library, cell = models[0]._properties, to_polymlp(atoms, elements)
    times = np.array(
        [
            (
                cpu(lambda: committee.evaluate([atoms])),
                cpu(lambda: single.evaluate([atoms])),
                cpu(lambda: library.eval(cell)),
            )
            for _ in range(options.repeat)
        ]
    ).min(axis=0)
    return {
        "crystal": crystal,
        "model": name,
        "n_coefficients": len(models[0].coefficients),
        "committee_cost": round(float(times[0] / times[2]), 3),
        "one_model_cost": round(float(times[1] / times[2]), 3),
        "one_by_one": options.members + 1,
        "committee_ms": round(float(1e3 * times[0]), 2),
        "one_model_ms": round(float(1e3 * times[1]), 2),
        "pypolymlp_ms": round(float(1e3 * times[2]), 2),
        "preparation_s": round(preparation, 2),
        "relative_difference": {
            "energy": float(abs(found.energy / known.energy - 1)),
            "forces": float(abs(found.forces - known.forces).max() / abs(known.forces).max()),
            "stress": float(abs(found.stress - known.stress).max() / abs(known.stress).max()),
        },
    }


def first_call() -> dict[str, float]:
    """CPU time of the first evaluation with an empty cache of compiled code, and with a filled one, s."""
    out = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in ("compiling", "from_cache"):
            done = subprocess.run(
                [sys.executable, __file__, "--first-call"], env={**os.environ, "NUMBA_CACHE_DIR": folder},
                capture_output=True, text=True, check=True,
            )  # fmt: skip
            out[f"{name}_s"] = round(float(done.stdout.splitlines()[-1]), 2)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, default=16, help="without the mean model")
    parser.add_argument("--repeat", type=int, default=15)
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--first-call", action="store_true", help="print the CPU time of one evaluation only")
    options = parser.parse_args()
    if not ONE_THREAD.items() <= os.environ.items():
        # The libraries read it when they are loaded.
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **ONE_THREAD})
    if options.first_call:
        committee = PolynomialCommittee(models_of(["Si"], MODELS["small"], 3))
        print(cpu(lambda: committee.evaluate([bulk("Si")])))
        return
    cases = [case(crystal, name, options) for name in options.models for crystal in CRYSTALS]
    worst = max(one["committee_cost"] for one in cases)
    report(
        "committee",
        {
            "aim": AIM, "committee_cost": worst, "aim_kept": worst <= AIM, "members": options.members,
            "first_call": first_call(), "cases": cases,
        },
    )  # fmt: skip


if __name__ == "__main__":
    main()
