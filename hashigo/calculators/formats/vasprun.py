"""vasprun.xml of VASP: every ionic step with forces is a frame."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError, iterparse

import numpy as np
from ase.units import GPa
from numpy.typing import NDArray

from hashigo.calculators.configuration import Frame
from hashigo.calculators.formats import FrameFormat, Source
from hashigo.errors import InputError
from hashigo.study.compressed import open_text

Floats = NDArray[np.float64]


def read(path: Path) -> Source:
    """Open a file; steps are read one by one.

    Energies are free energies (e_fr_energy): forces and stress are their derivatives. ASE and phonopy take those
    extrapolated to zero smearing.

    Raises:
        InputError: when it is damaged, or a step did not converge, once it is read.
    """
    return Source({"engine": "vasp", "first_principles": True}, _frames(path), labelled=False)


def _frames(path: Path) -> Iterator[Frame]:
    symbols: tuple[str, ...] = ()
    limit, threshold = 0, 0.0
    index = 0
    try:
        with open_text(path, "vasprun.xml of VASP") as file:
            for _, element in iterparse(file):
                if element.tag == "atominfo":
                    symbols = _symbols(element)
                elif element.tag == "parameters":
                    limit = int(element.findtext(".//i[@name='NELM']", "0"))
                    threshold = float(element.findtext(".//i[@name='EDIFF']", "0"))
                elif element.tag == "calculation":
                    where = f"step {index + 1} of {path.name}"
                    _check_converged(element, limit, threshold, where)
                    yield _frame(element, symbols, where, path.name)
                    index += 1
                    element.clear()
    except (ParseError, ValueError, IndexError, TypeError) as error:
        raise InputError(
            f"{path.name} is cut or damaged after {index} ionic steps: {error}",
            fix="VASP writes its end when it finishes: use the file of a finished run, or copy it again",
        ) from None
    if not index:
        raise InputError(f"{path.name} holds no ionic step", fix="use the file of a finished run")


def _symbols(element: Element) -> tuple[str, ...]:
    rows = element.findall("array[@name='atoms']/set/rc")
    return tuple((row[0].text or "").strip() for row in rows)


def _table(element: Element, path: str) -> Floats | None:
    rows = element.findall(f"{path}/v")
    return np.array([[float(x) for x in (row.text or "").split()] for row in rows]) if rows else None


def _check_converged(element: Element, limit: int, threshold: float, where: str) -> None:
    """Refuse a step whose electronic loop used up its steps, unless the last one was small enough."""
    steps = element.findall("scstep")
    if not limit or len(steps) < limit:
        return
    energies = [_number(step, "energy/i[@name='e_fr_energy']") for step in steps[-2:]]
    known = [energy for energy in energies if energy is not None]
    if len(known) == 2 and abs(known[1] - known[0]) <= threshold:
        return
    raise InputError(
        f"the electronic loop of {where} ended after NELM = {limit} steps, not converged",
        fix="compute it again with a larger NELM or better mixing",
    )


def _frame(element: Element, symbols: tuple[str, ...], where: str, name: str) -> Frame:
    cell = _table(element, "structure/crystal/varray[@name='basis']")
    positions = _table(element, "structure/varray[@name='positions']")
    if cell is None or positions is None or len(positions) != len(symbols):
        raise InputError(f"{where} has no structure of {len(symbols)} atoms", fix="copy the file again")
    stress: Any = _table(element, "varray[@name='stress']")
    if stress is not None:
        # VASP prints kbar, positive under compression.
        stress = -0.1 * GPa * stress.ravel()[[0, 4, 8, 5, 2, 1]]
    return Frame(
        cell=cell,
        positions=positions @ cell,
        symbols=symbols,
        energy=_energy(element),
        forces=_table(element, "varray[@name='forces']"),
        stress=stress,
        origin=f"{name}, vasp",
    )


def _energy(element: Element) -> float | None:
    free = _number(element, "energy/i[@name='e_fr_energy']")
    return _number(element, "energy/i[@name='e_0_energy']") if free is None else free


def _number(element: Element, path: str) -> float | None:
    text = element.findtext(path)
    return None if text is None else float(text)


FORMAT = FrameFormat(
    name="vasprun",
    title="vasprun.xml of VASP",
    patterns=("*vasprun*", "*.xml"),
    read=read,
    starts=("<modeling",),
)
