"""Numbers of whole runs beside those that others published, each with its source: the table of docs/accuracy.md.

- The demo, from its results (`--results results.json`).
- `--thermal`: silicon at temperature, by the potential and by the reference's own force constants at seven volumes
  (examples/silicon, `thermal.yaml` and `volumes.yaml`).
- `--magnesia`: examples/mgo, a polar crystal (needs no program: its frames are stored).
- `--data DIR`: whole runs that start from phono3py's published forces: DIR/NaCl-rd with its
  phono3py_params_NaCl.yaml.xz, and DIR/Si-PBEsol with POSCAR-unitcell, phono3py_disp.yaml and FORCES_FC3. Each of
  these cases says its tolerance and whether it was kept.
- `--table FILE`: the table; cases that this run does not make are kept as they stand in FILE.

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
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import published_values as values
from accuracy_table import update_table
from common import ROOT, report

Case = dict[str, Any]
Row = dict[str, Any]


def compare(name: str, rows: Sequence[Row], published: Sequence[values.Published]) -> list[Case]:
    """Each published number beside the first row of results that answers to it; those without one are left out."""
    cases = []
    for wanted in published:
        found = [
            row
            for row in rows
            if row["quantity"] == wanted.quantity and wanted.conditions.items() <= row["conditions"].items()
        ]
        for row in found[:1]:
            value, uncertainty = row["value"], row["standard_uncertainty"]
            for i in wanted.index:
                value = value[i]
                uncertainty = uncertainty[i] if uncertainty is not None else None
            if uncertainty is not None:
                uncertainty *= wanted.scale
            line = case(name, wanted.label, value * wanted.scale, uncertainty, wanted.value, wanted.source)
            cases.append(line | {"converged": row["converged"]})
    return cases


def case(
    name: str, label: str, value: float, uncertainty: float | None, reference: float, source: str
) -> Case:
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


def run_rows(study: Path) -> list[Row]:
    """All results of a study that is run now."""
    import hashigo

    run = hashigo.run(study)
    if not run.succeeded:
        raise SystemExit(f"{study.name}: {run.message}")
    return [row.as_json() for row in run.results()]


def thermal_cases() -> list[Case]:
    """Silicon at temperature by both routes."""
    folder = ROOT / "examples" / "silicon"
    at_temperature = values.EXPANSION + values.HEAT
    return [
        *compare(
            "silicon, LDA, by the potential",
            run_rows(folder / "thermal.yaml"),
            at_temperature + values.STIFFNESS_AT_TEMPERATURE,
        ),
        *compare(
            "silicon, LDA, force constants of the reference at 7 volumes",
            run_rows(folder / "volumes.yaml"),
            at_temperature,
        ),
    ]


def magnesia_cases() -> list[Case]:
    """The polar crystal."""
    return compare(
        "magnesium oxide, LDA", run_rows(ROOT / "examples" / "mgo" / "stored.yaml"), values.MAGNESIA
    )


@dataclass(frozen=True)
class Forces:
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
    Forces(
        "NaCl, 100 supercells of 64 atoms and 2 of 512",
        "NaCl-rd",
        "phono3py_params_NaCl.yaml.xz",
        "phono3py_params_NaCl.yaml.xz",
        {9: (8.81, 0.01, SAME_FILES), 15: (8.3, 0.02, "its authors, --mesh 50, a length")},
    ),
    Forces(
        "Si-PBEsol, 111 supercells of 64 atoms",
        "Si-PBEsol",
        "POSCAR-unitcell",
        "FORCES_FC3",
        {
            11: (109.1, 0.01, "its authors, mesh 11"),
            19: (124.4, 0.02, "its authors, mesh 19"),
        },
    ),
)


def published_cases(data: Path, name: str | None) -> list[Case]:
    """κ of published forces at 300 K, each by a whole run from the files."""
    return [
        line
        for one in PUBLISHED
        if name in (None, one.folder)
        for line in chain_cases(one, data / one.folder)
    ]


def chain_cases(published: Forces, folder: Path) -> list[Case]:
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
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=Path, default=ROOT / "demo-results" / "results.json")
    parser.add_argument("--thermal", action="store_true", help="silicon at temperature")
    parser.add_argument("--magnesia", action="store_true", help="magnesium oxide")
    parser.add_argument("--data", type=Path, help="folder with NaCl-rd/ and Si-PBEsol/")
    parser.add_argument("--only", choices=[one.folder for one in PUBLISHED], help="one of the two")
    parser.add_argument("--table", type=Path, help="Markdown file whose table is brought up to date")
    options = parser.parse_args()
    cases = []
    if options.results.is_file():
        rows = json.loads(options.results.read_text(encoding="utf-8"))["results"]
        cases += compare("silicon, LDA, the demo", rows, values.SILICON)
    with tempfile.TemporaryDirectory() as scratch:
        # AiiDA looks for its configuration when it is imported: these runs have a database of their own.
        os.environ["AIIDA_PATH"] = scratch
        cases += thermal_cases() if options.thermal else []
        cases += magnesia_cases() if options.magnesia else []
        cases += published_cases(options.data, options.only) if options.data else []
    if options.table:
        update_table(options.table, cases)
    report("accuracy", {"cases": cases})
    if not all(line.get("passed", True) for line in cases):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
