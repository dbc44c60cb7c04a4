"""Numbers of the demo beside those of experiment and literature, and of published forces read from files.

The list is made from the results of a finished run of examples/silicon (`--results results.json`), and, with
`--data DIR`, from whole runs that start from phono3py's published forces: DIR/NaCl-rd with its
phono3py_params_NaCl.yaml.xz, and DIR/Si-PBEsol with POSCAR-unitcell, phono3py_disp.yaml and FORCES_FC3. Each of these
cases says its tolerance and whether it was kept.

The authors of NaCl print 8.3 W/(m K) "at mesh 50". A single number is a length in Å to phono3py
(phonopy/cui/settings.py, key "mesh_numbers": one value is kept as a float), of which phonopy/phonon/grid.py,
`length2mesh`, makes rint(length·|a*|) wave vectors along each reciprocal vector: 50 Å times 0.3091 1/Å is 15.46, so 15.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import ROOT, report

HALL = "Hall, Phys. Rev. 161, 756 (1967), 298 K"

#: quantity, label, how to pick it from a result row, reference value, source.
SILICON: list[tuple[str, str, tuple[int, ...], dict[str, float], float, str]] = [
    ("lattice_parameters", "a0 / Å", (0,), {}, 5.43102, "experiment: CODATA 2018, 22.5 °C"),
    ("stiffness", "C11 / GPa", (0, 0), {}, 165.64, f"experiment: {HALL}"),
    ("stiffness", "C12 / GPa", (0, 1), {}, 63.94, f"experiment: {HALL}"),
    ("stiffness", "C44 / GPa", (3, 3), {}, 79.51, f"experiment: {HALL}"),
    ("optical_frequency_gamma", "ν_Γ / THz", (), {}, 15.53, "experiment: Nilsson & Nelin, PRB 6, 3777 (1972), 300 K"),
    (
        "lattice_thermal_conductivity", "κ / W/(m K), 300 K", (0, 0), {"temperature": 300.0}, 148.0,
        "experiment: Ho, Powell & Liley, J. Phys. Chem. Ref. Data 1, 279 (1972)",
    ),
    ("effective_bulk_modulus", "K / GPa", (), {}, 97.8, f"Hill average of the experiment of {HALL}"),
    ("effective_shear_modulus", "G / GPa", (), {}, 66.5, f"Hill average of the experiment of {HALL}"),
]  # fmt: skip


def silicon_cases(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each number of the demo beside its reference."""
    out = []
    for name, label, index, conditions, reference, source in SILICON:
        rows = [
            row
            for row in results
            if row["quantity"] == name and conditions.items() <= row["conditions"].items()
        ]
        for row in rows[:1]:
            value, uncertainty = row["value"], row["standard_uncertainty"]
            for i in index:
                value = value[i]
                uncertainty = uncertainty[i] if uncertainty is not None else None
            line = case("silicon, LDA", label, value, uncertainty, reference, source)
            out.append(line | {"converged": row["converged"]})
    return out


def case(
    name: str, label: str, value: float, uncertainty: float | None, reference: float, source: str
) -> dict[str, Any]:
    """One line of the list."""
    return {
        "case": name,
        "quantity": label,
        "value": round(value, 5),
        "standard_uncertainty": None if uncertainty is None else round(uncertainty, 5),
        "reference": reference,
        "source": source,
        "relative_difference": round(value / reference - 1, 5),
    }


@dataclass(frozen=True)
class Published:
    """Published forces that a study starts from, and the conductivity that they have.

    Attributes:
        name: of the case.
        folder: below that of `--data`.
        structure: file of the crystal in it.
        forces: file of the forces in it.
        cases: for each mesh the reference value in W/(m K), its relative tolerance and its source.
    """

    name: str
    folder: str
    structure: str
    forces: str
    cases: dict[int, tuple[float, float, str]]


SAME_FILES = "phono3py 4.10 on the same files"
PUBLISHED = (
    Published(
        "NaCl, 100 supercells of 64 atoms and 2 of 512",
        "NaCl-rd",
        "phono3py_params_NaCl.yaml.xz",
        "phono3py_params_NaCl.yaml.xz",
        {9: (8.81, 0.01, SAME_FILES), 15: (8.3, 0.02, "its authors, --mesh 50, a length")},
    ),
    Published(
        "Si-PBEsol, 111 supercells of 64 atoms",
        "Si-PBEsol",
        "POSCAR-unitcell",
        "FORCES_FC3",
        {11: (108.98, 0.01, SAME_FILES + "; its authors print 109.1")},
    ),
)


def published_cases(data: Path, name: str | None) -> list[dict[str, Any]]:
    """κ of published forces at 300 K, each by a whole run from the files, in a database of its own.

    Args:
        data: holds the folders of `PUBLISHED`.
        name: only that folder; all without it.
    """
    cases = []
    with tempfile.TemporaryDirectory() as scratch:
        # AiiDA looks for its configuration when it is imported.
        os.environ["AIIDA_PATH"] = scratch
        for one in PUBLISHED:
            if name in (None, one.folder):
                cases += chain_cases(one, data / one.folder)
    return cases


def chain_cases(published: Published, folder: Path) -> list[dict[str, Any]]:
    """Run one study to its conductivity, and compare each mesh."""
    import hashigo
    from hashigo.study import study_from
    from hashigo.workflows.results import stage_results

    content = {
        "title": published.name,
        "structure": str((folder / published.structure).resolve()),
        "reference": str((folder / published.forces).resolve()),
        "until": "conductivity",
        # The potential is a small one: only its being there is needed, and none of its numbers is compared.
        "stop_at_gates": False,
        "potential": {"members": 2, "cutoff": 5, "radial_functions": 5, "invariant_max_l": [4, 4]},
        "conductivity": {
            "force_constants": "reference",
            "meshes": list(published.cases),
            "coarse_mesh": 5,
            "isotopes": False,
            "temperatures": [300.0],
        },
        "mesoscale": {"temperatures": [300.0]},
    }
    begin = time.perf_counter()
    run = hashigo.run(study_from(content))
    seconds = time.perf_counter() - begin
    if not run.succeeded:
        raise SystemExit(f"{published.name}: {run.message}")
    with stage_results(run.node)["conductivity"].reader() as reader:
        meshes, kappa = reader.array("mesh/series"), reader.array("mesh/kappa")
    found = dict(zip(meshes.astype(int), kappa[:, 0].trace(axis1=-2, axis2=-1) / 3, strict=True))
    cases = []
    for mesh, (reference, tolerance, source) in published.cases.items():
        line = case(
            published.name,
            f"κ / W/(m K), 300 K, RTA, mesh {mesh}",
            float(found[mesh]),
            None,
            reference,
            source,
        )
        passed = abs(line["relative_difference"]) <= tolerance
        cases.append(line | {"tolerance": tolerance, "passed": passed, "run_wall_s": round(seconds, 1)})
    return cases


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder with NaCl-rd/ and Si-PBEsol/")
    parser.add_argument("--only", choices=[one.folder for one in PUBLISHED], help="one of the two")
    parser.add_argument("--results", type=Path, default=ROOT / "demo-results" / "results.json")
    options = parser.parse_args()
    cases = []
    if options.results.is_file():
        cases += silicon_cases(json.loads(options.results.read_text(encoding="utf-8"))["results"])
    if options.data:
        cases += published_cases(options.data, options.only)
    report("accuracy", {"cases": cases})
    if not all(line.get("passed", True) for line in cases):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
