"""What a run of pw.x has left in its folder."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

from hashigo.calculators.engines.frame_calculator import Outcome

OUTPUT = "pw.out"
XML = Path("out", "pwscf.save", "data-file-schema.xml")

#: Occupation of the highest band, dimensionless, above which there were too few bands (as in aiida-quantumespresso).
OCCUPIED = 0.005

_SITES = re.compile(r"Magnetic moment per site.*\n((?:.*magn[:=].*\n)+)")
_MOMENT = re.compile(r"magn[:=]\s*(-?\d+\.\d+)")


def read_output(folder: Path) -> Outcome:
    """Results of a finished run.

    Args:
        folder: where its output is.
    """
    from ase.io.espresso import read_espresso_out  # ase.io loads slowly

    with open(folder / OUTPUT, encoding="utf-8", errors="replace") as file:
        results = dict(next(iter(read_espresso_out(file, index=slice(-1, None)))).calc.results)
    # ASE takes the last number of a line, which in older versions is that of a constraint.
    results["magmoms"] = moments(text_of(folder))
    return Outcome(results, version(folder), True)


def version(folder: Path) -> str:
    """What pw.x calls itself: the word after its name."""
    head = next((line for line in text_of(folder).splitlines() if "Program PWSCF" in line), "")
    return head.partition("v.")[2].partition(" ")[0]


def said(folder: Path) -> str:
    """Why pw.x stopped, in its own words; "" for none."""
    return said_in(text_of(folder))


def said_in(text: str) -> str:
    """The lines between pw.x's rows of % signs, "" for none.

    Args:
        text: pw.x's standard output.
    """
    parts = text.split("%" * 20)
    words = [part.strip("% \n") for part in parts if part.strip("% \n")]
    return " ".join(words[1].split()) if len(words) > 1 else ""


def moments(text: str) -> list[float] | None:
    """Moments around the atoms as pw.x prints them last, μB; None where it prints none.

    Args:
        text: pw.x's standard output.
    """
    blocks = _SITES.findall(text)
    return [float(value) for value in _MOMENT.findall(blocks[-1])] if blocks else None


def bands_wanted(folder: Path) -> int:
    """Count of bands that a run with smearing should have had; 0 where it had enough.

    Args:
        folder: where its output is.
    """
    if not (folder / XML).is_file():
        return 0
    structure = ElementTree.parse(folder / XML).find(".//band_structure")
    if structure is None:
        return 0
    per_spin = int(structure.findtext("nbnd_up") or structure.findtext("nbnd") or 0)
    highest = 0.0
    for node in structure.iterfind(".//occupations"):
        values = [float(word) for word in (node.text or "").split()]
        # With spin the bands of one direction come after those of the other.
        highest = max([highest, *values[per_spin - 1 :: per_spin]]) if per_spin else 0.0
    return per_spin + max(per_spin // 20, 4) if highest > OCCUPIED else 0


def text_of(folder: Path) -> str:
    """Its standard output, "" for none."""
    path = folder / OUTPUT
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
