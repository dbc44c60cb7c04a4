"""Magnesium oxide as one run, from its structure to split phonons; the longer study is examples/mgo."""

from __future__ import annotations

import json

import numpy as np
import pytest
import yaml

from hashigo.calculators.frames import read_header
from hashigo.calculators.workers.lattice.polar import COULOMB

#: Frequency of sqrt(1 eV/Å^2/amu), THz.
UNIT = 15.633302
MASSES = (24.305, 15.999)


@pytest.mark.slow
def test_magnesium_oxide_has_its_splitting(workplace, repository, require_program, require_module):
    require_module("aiida_quantumespresso", "qe")
    require_program("pw.x", "quantum-espresso")
    require_program("ph.x", "quantum-espresso")
    example = repository / "examples" / "mgo"
    study = yaml.safe_load((example / "study.yaml").read_text())
    study["structure"] = str(example / "MgO.cif")
    # Cheaper: few frames, a coarser mesh, lower cut-offs, two members.
    study["reference"]["settings"] |= {"kpoint_spacing": 0.9, "cutoff": "25 Ry", "density_cutoff": "150 Ry"}
    study["reference"]["sampling"] |= {"displaced": 4, "strained": 6, "volumes": 3}
    study["potential"] |= {"members": 2, "max_force_error": 0.2}
    (workplace.folder / "mgo.yaml").write_text(yaml.safe_dump(study))
    done = workplace.run("run", "mgo.yaml", "--output", "out")
    assert done.returncode == 0, done.stdout + done.stderr
    found = {
        row["quantity"]: row
        for row in json.loads((workplace.folder / "out/results.json").read_text())["results"]
    }
    header = read_header(workplace.folder / "out" / "reference.h5")
    charge = header["polar"]["born_charges"][0][0][0]
    dielectric = header["polar"]["dielectric"][0][0]
    transverse = found["optical_frequency_gamma"]["value"]
    longitudinal = found["longitudinal_optical_frequency_gamma"]["value"]
    reduced = MASSES[0] * MASSES[1] / sum(MASSES)
    volume = found["cell_volume"]["value"] / 4
    # Exact for two ions in a cubic crystal: ω_LO² = ω_TO² + Z²e²/(ε0 ε∞ μ V).
    split = 4 * np.pi * COULOMB * charge**2 / (dielectric * reduced * volume)
    assert longitudinal**2 == pytest.approx(transverse**2 + UNIT**2 * split, rel=1e-4)
    assert longitudinal > 1.4 * transverse
    assert 9 < transverse < 16
    assert "without LO–TO splitting" not in found["optical_frequency_gamma"]["marks"]
