"""Numbers of the demo beside those of experiment and literature, and of published forces read from files.

The list is made from the results of a finished run of examples/silicon (`--results results.json`), and, with
`--data DIR`, from phono3py's published silicon forces in DIR/Si-PBEsol.
"""

from __future__ import annotations

import argparse
import json
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


def phono3py_cases(folder: Path) -> list[dict[str, Any]]:
    """κ of published silicon forces, as a test of reading files: the mesh is far from converged."""
    from hashigo.calculators.workers.lattice.phono3py_files import conductivity_from_phono3py

    value = conductivity_from_phono3py(folder / "Si-PBEsol", mesh=11, temperature=300.0)
    source = "phono3py 4.10 on the same files, mesh 11; its example prints 109.1"
    return [
        case("Si-PBEsol, 111 supercells", "κ / W/(m K), 300 K, RTA, mesh 11", value, None, 108.98, source)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder with Si-PBEsol/")
    parser.add_argument("--results", type=Path, default=ROOT / "demo-results" / "results.json")
    options = parser.parse_args()
    cases = []
    if options.results.is_file():
        cases += silicon_cases(json.loads(options.results.read_text(encoding="utf-8"))["results"])
    if options.data:
        cases += phono3py_cases(options.data)
    report("accuracy", {"cases": cases})


if __name__ == "__main__":
    main()
