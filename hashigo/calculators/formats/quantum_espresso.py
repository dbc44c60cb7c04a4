"""Quantum ESPRESSO: what pw.x prints, and its data-file-schema.xml."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError, parse

import numpy as np
from ase.units import create_units
from numpy.typing import NDArray

from hashigo.calculators.configuration import Frame
from hashigo.calculators.formats import FrameFormat, Source
from hashigo.calculators.formats.ase_frames import frame_from_atoms
from hashigo.errors import InputError
from hashigo.study.compressed import open_text, read_text

Floats = NDArray[np.float64]

_HEADER = {"engine": "quantum_espresso", "first_principles": True}
_UNITS = create_units("2018")

_NOT_CONVERGED = "compute it again with more electronic steps or a smaller mixing"


def read_output(path: Path) -> Source:
    """Open what pw.x printed; every ionic step with results is a frame.

    Raises:
        InputError: when it is another text, damaged, or not converged, once it is read.
    """
    return Source(dict(_HEADER), _printed(path), labelled=False)


def _printed(path: Path) -> Iterator[Frame]:
    from ase.io.espresso import read_espresso_out  # ase.io loads slowly

    text = read_text(path, "the output of pw.x")
    if "Program PWSCF" not in text:
        raise InputError(f"{path.name} is not the output of Quantum ESPRESSO's pw.x")
    if "convergence NOT achieved" in text:
        raise InputError(f"the electronic loop of {path.name} did not converge", fix=_NOT_CONVERGED)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            images = list(read_espresso_out(StringIO(text)))
    except Exception as error:  # ASE's reader raises whatever its parsing meets
        raise InputError(
            f"{path.name} cannot be read as output of pw.x: {error or type(error).__name__}",
            fix="it may be cut: use the output of a finished run",
        ) from None
    if not images:
        raise InputError(
            f"{path.name} holds no energy, no forces and no stress", fix="use the output of a finished run"
        )
    for index, atoms in enumerate(images):
        yield frame_from_atoms(atoms, f"{path.name}, quantum_espresso", index)


def read_xml(path: Path) -> Source:
    """Open data-file-schema.xml; its final configuration is the frame.

    Raises:
        InputError: when it is another file, damaged, or not converged.
    """
    with open_text(path, "data-file-schema.xml of Quantum ESPRESSO") as file:
        try:
            root = parse(file).getroot()
        except ParseError as error:
            raise InputError(
                f"{path.name} is cut or damaged: {error}", fix="use the file of a finished run"
            ) from None
    try:
        frame = _final(root, path.name)
    except (ValueError, TypeError, AttributeError, IndexError) as error:
        raise InputError(
            f"{path.name} cannot be read as Quantum ESPRESSO's: {error}", fix="use the file of a finished run"
        ) from None
    steps = len(root.findall("step"))
    notes = (
        [f"{steps} ionic steps, of which the XML gives the last; the text output has all"]
        if steps > 1
        else []
    )
    return Source(dict(_HEADER), iter([frame]), labelled=False, notes=notes)


def _final(root: Element, name: str) -> Frame:
    output = root.find("output")
    structure = None if output is None else output.find("atomic_structure")
    if output is None or structure is None:
        raise InputError(f"{name} has no output of a finished run", fix="use the file of a finished run")
    if output.findtext("convergence_info/scf_conv/convergence_achieved", "true").strip() != "true":
        raise InputError(f"the electronic loop of {name} did not converge", fix=_NOT_CONVERGED)
    bohr, hartree = _UNITS["Bohr"], _UNITS["Hartree"]
    cell = np.array([_numbers(structure.find(f"cell/a{i}")) for i in (1, 2, 3)]) * bohr
    atoms = structure.findall("atomic_positions/atom")
    energy = output.findtext("total_energy/etot")
    forces, stress = _numbers(output.find("forces")), _numbers(output.find("stress"))
    voigt: Any = None
    if stress is not None:
        # Positive under compression there, as in what pw.x prints.
        voigt = -stress[[0, 4, 8, 5, 2, 1]] * hartree / bohr**3
    return Frame(
        cell=cell,
        positions=np.array([_numbers(atom) for atom in atoms]) * bohr,
        symbols=tuple(_symbol(atom.attrib["name"]) for atom in atoms),
        energy=None if energy is None else float(energy) * hartree,
        forces=None if forces is None else forces.reshape(-1, 3) * hartree / bohr,
        stress=voigt,
        origin=f"{name}, quantum_espresso",
    )


def _numbers(element: Element | None) -> Any:
    return None if element is None else np.array([float(x) for x in (element.text or "").split()])


def _symbol(label: str) -> str:
    from ase.io.espresso import label_to_symbol  # ase.io loads slowly

    return str(label_to_symbol(label))


OUTPUT = FrameFormat(
    name="quantum_espresso",
    title="output of Quantum ESPRESSO's pw.x",
    patterns=("*.out", "*.pwo", "*.log"),
    read=read_output,
    starts=("PWSCF",),
)

XML = FrameFormat(
    name="quantum_espresso_xml",
    title="data-file-schema.xml of Quantum ESPRESSO",
    patterns=("*.xml",),
    read=read_xml,
    starts=("espresso",),
)
