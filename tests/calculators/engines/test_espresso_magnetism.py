"""Spin and Hubbard terms of Quantum ESPRESSO: what is refused, what is written, and forces of real runs."""

from __future__ import annotations

import json

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from hashigo.calculators.engines import Workspace, get_engine
from hashigo.calculators.engines.espresso_magnetism import ask_version, card, check, shares, system
from hashigo.calculators.engines.espresso_output import bands_wanted, moments
from hashigo.errors import InputError, WorkerError

IRON = {"pseudopotentials": {"Fe": "Fe.pbe-nd-rrkjus.UPF"}, "smearing": 0.02}
OXIDE = {
    "pseudopotentials": {"Ni": "Ni.pbe-nd-rrkjus.UPF", "O": "O.pbe-rrkjus.UPF"},
    "smearing": 0.02,
    "spin": {"Ni": "2 bohr_magneton"},
    "hubbard": {"Ni-3d": "0.2 hartree"},
}


@pytest.fixture
def complete(require_program):
    require_program("pw.x", "quantum-espresso")
    return get_engine("quantum_espresso").complete


def test_settings_left_out_leave_the_identity_of_frames_as_it_was(complete):
    engine = get_engine("quantum_espresso")
    known = json.loads(engine.signature(complete(IRON)))["settings"]
    assert not {"spin", "hubbard"} & set(known)
    assert json.loads(engine.signature(complete(OXIDE)))["settings"]["spin"] == {"Ni": 2.0}


def test_moments_are_shares_of_the_valence_electrons(complete):
    settings = complete(OXIDE)
    assert settings["hubbard"]["Ni-3d"] == pytest.approx(0.2 * 27.2114, rel=1e-5)
    assert shares(settings, ["Ni", "O"]) == {"Ni": 0.2, "O": 0.0}
    assert shares(complete(IRON), ["Fe"]) == {}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"spin": {"Fe": 2}, "smearing": 0}, "spin is given and smearing is 0"),
        ({"spin": {"Fe": 0}}, "gives only zeros"),
        ({"spin": {"Fe": 9}}, r"spin\.Fe is 9 μB, more than"),
        ({"spin": {"Co": 2}}, "spin names Co, which is not in the crystal"),
        ({"hubbard": {"Co-3d": 2}}, "hubbard names Co, which is not in the crystal"),
        ({"hubbard": {"Fe": 2}}, "hubbard is Fe: 2"),
        ({"hubbard": {"Fe-3d": -2}}, "hubbard is Fe-3d: -2"),
    ],
)
def test_what_cannot_be_is_refused(complete, changes, message):
    with pytest.raises(InputError, match=message):
        check(complete({**IRON, **changes}), ["Fe"])


def test_older_versions_get_a_namelist_and_newer_ones_a_card(complete):
    settings = complete({**OXIDE, "hubbard": {"Ni-3d": 6}})
    old = system(settings, "displaced", ["Ni", "O"], (6, 7))
    assert (old["lda_plus_u"], old["hubbard_u"]) == (True, {"Ni": 6.0})
    assert card(settings, ["Ni", "O"], (7, 0)) == []
    assert "lda_plus_u" not in system(settings, "displaced", ["Ni", "O"], (7, 1))
    assert card(settings, ["Ni", "O"], (7, 3)) == ["HUBBARD {atomic}", "U Ni-3d 6.0"]
    assert card(settings, ["O"], (7, 3)) == []
    with pytest.raises(InputError, match=r"Ni-4p, which Quantum ESPRESSO before 7\.1 cannot treat"):
        system(complete({**OXIDE, "hubbard": {"Ni-4p": 6}}), "displaced", ["Ni"], (6, 7))


def test_the_plugin_writes_the_same_card(aiida_profile_clean, require_module):
    require_module("aiida_quantumespresso", "qe")
    from aiida.orm import StructureData
    from aiida_quantumespresso.utils.hubbard import HubbardUtils

    from hashigo.calculators.engines.espresso_hubbard import hubbard_structure

    oxide = StructureData(ase=bulk("NiO", "rocksalt", 4.17, cubic=True))
    text = HubbardUtils(hubbard_structure(oxide, {"Ni-3d": 6.0})).get_hubbard_card()
    assert [line.split() for line in text.splitlines()] == [["HUBBARD", "atomic"], ["U", "Ni-3d", "6.0"]]


def test_the_program_is_asked_for_its_version(require_program):
    assert ask_version((require_program("pw.x", "quantum-espresso"),)) >= (6, 0)
    with pytest.raises(WorkerError, match="does not tell its version"):
        ask_version(("true",))


SITES = """\
     Magnetic moment per site:
     atom:    1    charge:    6.5812    magn:    2.6391    constr:    0.0000
     atom:    2    charge:    6.5812    magn:   -2.6390    constr:    0.0000

"""


def test_moments_are_read_as_old_and_new_versions_print_them():
    assert moments(SITES.replace("2.63", "1.11") + SITES) == [2.6391, -2.6390]
    newer = "     Magnetic moment per site  (integrated on atomic sphere of radius R)\n"
    newer += "     atom   1 (R=0.357)  charge=  6.5812  magn=  2.6391\n"
    assert moments(newer) == [2.6391]
    assert moments("nothing") is None


def test_too_few_bands_are_found_out(tmp_path):
    (tmp_path / "out" / "pwscf.save").mkdir(parents=True)
    path = tmp_path / "out" / "pwscf.save" / "data-file-schema.xml"

    def wanted(tag, occupations):
        path.write_text(
            f"<a><band_structure><{tag}>3</{tag}><ks_energies><occupations>{occupations}</occupations>"
            "</ks_energies></band_structure></a>"
        )
        return bands_wanted(tmp_path)

    assert wanted("nbnd", "1 1 0.001") == 0
    assert wanted("nbnd", "1 1 0.01") == 7
    assert wanted("nbnd_up", "1 1 0.5 1 0 0") == 7
    assert wanted("nbnd_up", "1 1 0 1 0 0") == 0


@pytest.fixture
def calculator(complete, require_program, tmp_path):
    """Called as calculator(settings)."""

    def make(**given):
        engine = get_engine("quantum_espresso")
        settings = complete(given)
        engine.check(settings, list(settings["pseudopotentials"]))
        place = Workspace(tmp_path / "work", (require_program("pw.x", "quantum-espresso"),))
        return engine.calculator(settings, place)

    return make


def test_a_calculation_with_too_few_bands_is_done_again_with_more(calculator, tmp_path, monkeypatch):
    from hashigo.calculators.engines import quantum_espresso

    given = {
        "pseudopotentials": {"Al": "Al.pz-vbc.UPF"},
        "smearing": 0.05,
        "cutoff": 10,
        "kpoint_spacing": 1.2,
    }
    aluminium = bulk("Al", a=4.0)
    aluminium.calc = calculator(**given)
    enough = aluminium.get_potential_energy()
    parameters = quantum_espresso._parameters

    def few(settings, kind):
        namelists = parameters(settings, kind)
        namelists["SYSTEM"]["nbnd"] = 2
        return namelists

    monkeypatch.setattr(quantum_espresso, "_parameters", few)
    aluminium.calc = calculator(**given)
    assert aluminium.get_potential_energy() == pytest.approx(enough, abs=1e-5)
    assert "nbnd" in (tmp_path / "work" / "pw.in").read_text()


@pytest.mark.slow
def test_forces_of_iron_with_spin_are_slopes_of_its_energy(calculator, slopes):
    iron = bulk("Fe", a=2.85, cubic=True)
    iron.positions[0] += [0.06, 0.03, -0.04]
    iron.calc = calculator(**IRON, spin={"Fe": 4}, cutoff=45, density_cutoff=400, kpoint_spacing=1.2)
    slopes(iron, 0.02, 0.002)
    assert all(1.5 < moment < 3.2 for moment in iron.get_magnetic_moments())


@pytest.mark.slow
def test_forces_with_a_hubbard_term_are_slopes_of_the_energy(calculator, slopes, crystal):
    # Strained: a shifted mesh lacks the symmetry of the cubic lattice, and any strain changes what pw.x makes of it.
    oxide = crystal("NiO", 4.17, crystalstructure="rocksalt")
    plain = {**OXIDE, "cutoff": 35, "density_cutoff": 320, "kpoint_spacing": 1.4}
    oxide.calc = calculator(**plain)
    with_term = oxide.get_potential_energy()
    slopes(oxide, 0.03, 0.003)
    oxide.calc = calculator(**{**plain, "hubbard": {}})
    assert oxide.get_potential_energy() < with_term - 0.1


def test_iron_is_magnetic_in_a_quick_run(calculator, tmp_path):
    iron = bulk("Fe", a=2.85)
    iron.calc = calculator(**IRON, spin={"Fe": 4}, cutoff=22, density_cutoff=180, kpoint_spacing=1.2)
    assert np.isfinite(iron.get_potential_energy())
    (moment,) = iron.get_magnetic_moments()
    assert 1 < moment < 4
    text = (tmp_path / "work" / "pw.in").read_text()
    assert "starting_magnetization(1) = 0.5" in text.replace("  ", " ")
    assert isinstance(iron, Atoms)


@pytest.mark.slow
def test_a_job_of_its_own_gives_the_same_numbers(aiida_profile_clean, calculator, complete, require_module):
    require_module("aiida_quantumespresso", "qe")
    from types import SimpleNamespace

    from aiida.engine import run_get_node
    from aiida.orm import StructureData

    from hashigo.scheduler_profiles.computers import program_code
    from hashigo.scheduler_profiles.model import load_site
    from hashigo.workflows.batches import frame_options

    engine, site = get_engine("quantum_espresso"), load_site("local")
    given = {**OXIDE, "cutoff": 25, "density_cutoff": 200, "kpoint_spacing": 3, "shifted_mesh": False}
    settings = complete(given)
    oxide = bulk("NiO", "rocksalt", 4.17)
    process, inputs = engine.job(
        StructureData(ase=oxide), "strained", settings, program_code(site, engine.program),
        frame_options(site, settings),
    )  # fmt: skip
    outputs, node = run_get_node(process, **inputs)
    assert node.is_finished_ok, node.exit_message
    single = engine.read(SimpleNamespace(**outputs))
    oxide.calc = calculator(**given)
    assert single["energy"] == pytest.approx(oxide.get_potential_energy(), rel=1e-7)
    np.testing.assert_allclose(single["magnetic_moments"], oxide.get_magnetic_moments(), atol=2e-3)
    assert single["magnetic_moments"][0] > 1
    assert node.called[0].inputs.parameters["SYSTEM"]["lda_plus_u"] is True
