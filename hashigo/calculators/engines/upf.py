"""What a pseudopotential in the format UPF says of itself: element, functional, valence."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ase.data import atomic_numbers

#: The header is near the beginning; long descriptions of the generation come before it.
HEAD = 1 << 20

#: Short names of the functionals that Quantum ESPRESSO spells as exchange, correlation and their gradients.
SHORT = {
    "SLA PZ NOGX NOGC": "LDA",
    "SLA PZ": "LDA",
    "PZ": "LDA",
    "SLA PW NOGX NOGC": "LDA (Perdew-Wang)",
    "SLA PW PBX PBC": "PBE",
    "SLA PW PBE PBE": "PBE",
    "SLA PW PSX PSC": "PBESOL",
    "SLA PW GGX GGC": "PW91",
    "SLA LYP B88 BLYP": "BLYP",
    "SLA PW TPSS TPSS": "TPSS",
}

_ELEMENT = re.compile(r"""\belement\s*=\s*["']\s*([A-Za-z]{1,2})\s*["']""")
_ELEMENT_1 = re.compile(r"^\s*([A-Za-z]{1,2})\s+Element\s*$", re.M)
_FUNCTIONAL = re.compile(r"""\bfunctional\s*=\s*["']\s*([^"']*?)\s*["']""")
_FUNCTIONAL_1 = re.compile(r"^(.*?)\s+Exchange-Correlation functional", re.M)
_VALENCE = re.compile(r"""\bz_valence\s*=\s*["']\s*([0-9.EeDd+-]+)\s*["']""")
_VALENCE_1 = re.compile(r"^\s*([0-9.EeDd+-]+)\s+Z valence", re.M)
_FROM_NAME = re.compile(r"([A-Za-z]{1,2})(?![A-Za-z])")


@dataclass(frozen=True)
class Header:
    """Of a pseudopotential.

    Attributes:
        element: symbol; "" where neither header nor file name tells.
        functional: e.g. PBE; "" where the header does not tell.
        valence: number of valence electrons; 0 where the header does not tell.
    """

    element: str
    functional: str
    valence: float = 0.0


def read_header(content: bytes, name: str) -> Header:
    """Read element, functional and valence.

    Args:
        content: of the file, or its beginning.
        name: of the file, which begins with the element where the header lacks it.
    """
    text = content[:HEAD].decode("utf-8", errors="replace")
    return Header(_element(text, name), _functional(text), _valence(text))


def header_of(path: Path) -> Header:
    """Header of a file."""
    with open(path, "rb") as file:
        return read_header(file.read(HEAD), path.name)


def _element(text: str, name: str) -> str:
    found = _ELEMENT.search(text) or _ELEMENT_1.search(text) or _FROM_NAME.match(name)
    symbol = found[1].capitalize() if found else ""
    return symbol if atomic_numbers.get(symbol, 0) > 0 else ""


def _valence(text: str) -> float:
    found = _VALENCE.search(text) or _VALENCE_1.search(text)
    return float(found[1].upper().replace("D", "E")) if found else 0.0


def _functional(text: str) -> str:
    found = _FUNCTIONAL.search(text) or _FUNCTIONAL_1.search(text)
    if found is None:
        return ""
    words = re.split(r"[\s+-]+", found[1].strip().upper())
    if len(words) > 4:  # version 1 ends the line with the short name
        words = words[:4]
    full = " ".join(words)
    return SHORT.get(full, full)
