"""A potential that was published as a folder (`hashigo export --as potential`), back as an ASE calculator.

Needs neither AiiDA nor the study: the folder's `potential.json` says which files hold the models, and their SHA-256.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from hashigo.calculators.workers.models import get_kind, kind_names
from hashigo.calculators.workers.potential import Committee
from hashigo.errors import InputError

FORMAT = "hashigo-potential"
SCHEMA_VERSION = 1
#: The machine-readable card in the folder.
CARD = "potential.json"


def _count_from_free_atoms(content: bytes) -> bytes:
    """A polymlp.yaml whose free atoms have energy 0."""

    def zeros(line: re.Match[bytes]) -> bytes:
        return line[1] + b"[" + b", ".join([b"0.0"] * (line[2].count(b",") + 1)) + b"]"

    changed, count = re.subn(rb"(?m)^(atomic_energy:\s*)\[([^\]\n]*)\]", zeros, content)
    if count != 1:
        raise InputError("the potential does not say its energies of free atoms, so they cannot be left out")
    return changed


@dataclass(frozen=True)
class FileFormat:
    """How models of a kind are files.

    Attributes:
        suffix: of the files.
        without_energies: content of a file without the energies of free atoms, which are the reference's; None where
            they cannot be left out.
    """

    suffix: str
    without_energies: Callable[[bytes], bytes] | None = None


#: Arrays and a description in NumPy's format, as all kinds write them but those of `FORMATS`.
ARRAYS = FileFormat(".npz")
FORMATS = {"polynomial": FileFormat(".yaml", _count_from_free_atoms)}


class PublishedPotential(Calculator):
    """A published potential as an ASE calculator: energy, forces and stress of the mean model.

    With a committee, `results` holds also `energy_spread` (eV), `forces_spread` (shape (n_atoms, 3), eV/Å) and
    `stress_spread` (shape (6,), eV/Å^3): standard deviations over the members; the card says whether they are
    calibrated. `committee` evaluates many structures by all models.

    Args:
        committee: mean model, and members for the spread; without members there is none.
        card: content of `potential.json`.
    """

    implemented_properties = ["energy", "free_energy", "forces", "stress"]

    def __init__(self, committee: Committee, card: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.committee = committee
        self.card = dict(card)

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Any = all_changes,
    ) -> None:
        """Fill `results` for the given atoms; energy in eV, forces in eV/Å, stress in eV/Å^3."""
        super().calculate(atoms, properties, system_changes)
        if self.atoms.cell.rank < 3 or not self.atoms.pbc.all():
            raise InputError(
                f"{self.atoms.get_chemical_formula()} is not periodic in three directions, as the potential needs it",
                fix="give it a cell, wider than twice the cut-off where it is to stand alone, and set pbc=True",
            )
        votes = self.committee.evaluate_all([self.atoms])[0] if self.committee.members else None
        mean = votes.mean if votes else self.committee.mean.evaluate([self.atoms])[0]
        self.results = {
            "energy": mean.energy,
            "free_energy": mean.energy,
            "forces": mean.forces,
            "stress": mean.stress,
        }
        if votes:
            self.results["energy_spread"] = votes.energy_spread
            self.results["forces_spread"] = votes.component_force_spread
            self.results["stress_spread"] = votes.component_stress_spread


def load_potential(folder: str | Path, *, committee: bool = False) -> PublishedPotential:
    """Load a published potential for ASE; its files are checked against their SHA-256 first.

    Args:
        folder: of `hashigo export --as potential`.
        committee: whether to load the members too, for the spread in `results`.

    Raises:
        InputError: when it is no such folder, or a file in it is missing or changed.
        MissingComponent: when the package that evaluates the model is not installed.
    """
    folder = Path(folder)
    card = read_card(folder)
    kind = get_kind(card["kind"])
    kind.require()
    members = card["model_files"]["members"] if committee else []
    if committee and len(members) < 2:
        raise InputError(
            f"the potential in '{folder}' has {len(members)} members, too few for a spread",
            fix="load it without committee",
        )
    names = [card["model_files"]["mean"], *members]
    models = [kind.load(_checked(folder, card, name)) for name in names]
    calibration = (card.get("calibration") or {}).get("record") or {}
    for model in models:
        if set(model.elements) != set(card["elements"]):
            raise InputError(
                f"{CARD} in '{folder}' names {', '.join(card['elements'])}, its files {', '.join(model.elements)}",
                fix="get the folder again from where it was published",
            )
    return PublishedPotential(kind.committee(models, calibration), card)


def read_card(folder: Path) -> dict[str, Any]:
    """Read `potential.json` and check what loading rests on.

    Args:
        folder: of `hashigo export --as potential`.

    Raises:
        InputError: when it is missing, of another format or schema or of a kind that is not published, or lacks
            something.
    """
    path = Path(folder) / CARD
    if not path.is_file():
        raise InputError(
            f"'{folder}' holds no {CARD}, so it is no published potential",
            fix="give the folder that `hashigo export --as potential` wrote, unpacked",
        )
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise InputError(f"{path} cannot be read as JSON: {error}", fix="get the folder again") from None
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        raise InputError(f"{path} does not describe a potential of this project")
    version = card.get("schema_version")
    if version != SCHEMA_VERSION:
        raise InputError(
            f"{path} has schema version {version!r}, and this version of hashigo reads {SCHEMA_VERSION}",
            fix="update aiida-hashigo",
        )
    if card.get("kind") not in kind_names():
        raise InputError(
            f"{path} is of a potential of kind {card.get('kind')!r}, which is not known here",
            fix=f"known are {', '.join(kind_names())}; update aiida-hashigo",
        )
    if not get_kind(card["kind"]).own:
        raise InputError(
            f"{path} is of a potential of kind '{card['kind']}', which is never published: its file would choose what "
            "runs here",
            fix="do not use this folder: it was not written by hashigo",
        )
    if not _complete(card):
        raise InputError(f"{path} is incomplete: it does not name its files", fix="get the folder again")
    return card


def _complete(card: Mapping[str, Any]) -> bool:
    models, files, elements = (card.get(key) for key in ("model_files", "files", "elements"))
    if not (isinstance(models, dict) and isinstance(files, list) and isinstance(elements, list)):
        return False
    members = models.get("members")
    if not isinstance(members, list):
        return False
    named = [models.get("mean"), *members]
    entries = [entry for entry in files if isinstance(entry, dict)]
    described = [text for entry in entries for text in (entry.get("path"), entry.get("sha256"))]
    return len(entries) == len(files) and all(
        isinstance(text, str) for text in [*named, *described, *elements]
    )


def _checked(folder: Path, card: Mapping[str, Any], name: str) -> bytes:
    """Content of a file of the folder, which is what the card says."""
    inside = PurePosixPath(name)
    path = folder / inside
    outside = inside.is_absolute() or ".." in inside.parts or "\\" in name or ":" in name
    if outside or not path.resolve().is_relative_to(folder.resolve()):
        raise InputError(
            f"{CARD} in '{folder}' names the file '{name}', which is not inside the folder",
            fix="do not use this folder: it was not written by hashigo",
        )
    sums = {entry["path"]: entry["sha256"] for entry in card["files"]}
    if name not in sums:
        raise InputError(f"{CARD} in '{folder}' has no checksum of '{name}'", fix="get the folder again")
    if not path.is_file():
        raise InputError(f"'{path}' is missing", fix="get the folder again from where it was published")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != sums[name]:
        raise InputError(
            f"'{path}' is not what was published: its SHA-256 is another than in {CARD}",
            fix="get the folder again from where it was published",
        )
    return content
