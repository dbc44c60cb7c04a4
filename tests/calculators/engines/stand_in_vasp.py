"""Stands in for VASP where the whole path is tested: reads its input, writes what ASE reads, by Tersoff's silicon.

Like VASP it repeats parts of POTCAR in its output. Its numbers mean nothing.
"""

from __future__ import annotations

from pathlib import Path

from ase.io import read
from ase.units import GPa

from hashigo.calculators.engines.tersoff import silicon

HEAD = (
    " vasp.0.0.0 stand-in\n{potcar}\n NBANDS= 8\n number of electron       4.0 magnetization       0.0\n"
    " aborting loop because EDIFF is reached\n"
)


def rows(array: object) -> str:
    """Rows of numbers as VASP's XML has them."""
    return "".join("<v>" + " ".join(f"{value:.10f}" for value in row) + "</v>" for row in array)


def main() -> None:
    """Compute the frame in this folder."""
    atoms = read("POSCAR")
    potcar = Path("POTCAR").read_text()
    atoms.calc = silicon()
    energy = atoms.get_potential_energy()
    stress = -10 * atoms.get_stress(voigt=False) / GPa  # VASP writes kbar, positive under compression
    structure = (
        f'<crystal><varray name="basis">{rows(atoms.cell.array)}</varray></crystal>'
        f'<varray name="positions">{rows(atoms.get_scaled_positions())}</varray></structure>'
    )
    species = "".join(f"<rc><c>{symbol}</c><c>1</c></rc>" for symbol in atoms.get_chemical_symbols())
    values = "".join(
        f'<i name="{name}">{energy:.10f}</i>' for name in ("e_fr_energy", "e_wo_entrp", "e_0_energy")
    )
    Path("OUTCAR").write_text(HEAD.format(potcar=potcar))
    Path("vaspout.h5").write_text(potcar)
    Path("vasprun.xml").write_text(
        f'<modeling><kpoints><varray name="kpointlist"><v>0 0 0</v></varray><varray name="weights"><v>1</v></varray>'
        f'</kpoints><parameters></parameters><atominfo><array name="atoms"><set>{species}</set></array>'
        f"<!-- {potcar} --></atominfo>"
        f'<structure name="initialpos">{structure}<calculation><scstep><energy>{values}</energy></scstep><structure>'
        f'{structure}<varray name="forces">{rows(atoms.get_forces())}</varray>'
        f'<varray name="stress">{rows(stress)}</varray><energy>{values}</energy></calculation></modeling>'
    )


main()
