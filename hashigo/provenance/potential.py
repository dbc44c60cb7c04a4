"""Export of the trained potential: a folder with its files, training set, errors and a data card."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hashigo.calculators.data import FramesData, PotentialData
from hashigo.calculators.formats.extended_xyz import write as write_extended_xyz
from hashigo.calculators.frames import iter_frames, read_header
from hashigo.calculators.published import ARRAYS, CARD, FORMATS, PublishedPotential, load_potential
from hashigo.errors import InputError, MissingComponent
from hashigo.provenance.graph import collect, study_of
from hashigo.provenance.metadata import Metadata, read_metadata
from hashigo.provenance.payload import describe, write_json
from hashigo.provenance.policy import GATE, PrivacyFailure, check, decide, identity, stage_access
from hashigo.provenance.potential_card import card_text
from hashigo.provenance.potential_content import Source, card_content, kind_of
from hashigo.provenance.staging import staged
from hashigo.workflows.method import reference_frames

README = "README.md"
SUMS = "SHA256SUMS"
FRAMES = "training/frames.h5"


class PotentialFormat:
    """The potential of a run as a folder that can be loaded, checked before it appears under its name."""

    name = "potential"
    description = (
        "the trained potential: its files, training set, errors, and how to load it in ASE and LAMMPS"
    )

    def write(
        self, node: Any, target: Path, *, overwrite: bool = False, study: Mapping[str, Any] | None = None
    ) -> Path:
        """Write the potential of a run; the run may still go on, or have failed later.

        Args:
            node: the AiiDA process node of the run.
            target: folder to make, or archive when the name ends with `.zip`.
            overwrite: replace a published potential that is already there.
            study: title, authors, licence and access, in place of those that the run carries.

        Returns:
            The target.

        Raises:
            InputError: when the run has no potential, the study names no licence, or the target is there already.
            PrivacyFailure: when the potential, or something in the package, must not leave; nothing is written then.
        """
        graph = collect(node)
        content = dict(study) if study is not None else study_of(node)
        metadata = read_metadata(content, title=f"Potential of {graph.root.label} {graph.root.uuid[:8]}")
        decide(graph, metadata)  # names stages that do not exist
        potential = _potential(node)
        source = Source(graph, content, potential, _frames(potential, node), _set_may_leave(metadata))
        with staged(Path(target), overwrite=overwrite, mark=CARD) as package:
            write_package(package, source, metadata)
            check(package, metadata, identity())
        return Path(target)


FORMAT = PotentialFormat()


def _potential(node: Any) -> PotentialData:
    # AiiDA's managers of links have no `get`.
    stages = node.outputs.stages if "stages" in node.outputs else {}
    if "potential" not in stages or not isinstance(stages["potential"], PotentialData):
        raise InputError(
            f"run {node.pk} has no potential",
            fix="name a run whose stage 'potential' has finished; `hashigo status` lists runs",
        )
    return stages["potential"]


def _frames(potential: PotentialData, node: Any) -> FramesData:
    """The frames that a potential was trained on: those that its job was given."""
    inputs = [] if potential.creator is None else potential.creator.base.links.get_incoming().all_nodes()
    given = [one for one in inputs if isinstance(one, FramesData)]
    frames = given[0] if len(given) == 1 else reference_frames(node)
    if frames is None:
        raise InputError(
            f"the frames that the potential of run {node.pk} was trained on are not in the database"
        )
    return frames


def _set_may_leave(metadata: Metadata) -> bool:
    """Whether the training set leaves with the potential.

    Raises:
        PrivacyFailure: when the potential itself must not leave.
    """
    own = metadata.access.get("potential", metadata.default_access)
    if own != "open":
        raise PrivacyFailure(
            f"gate '{GATE}': nothing was exported, because the study calls the potential {own}",
            fix="set access.potential: open in the study if it may leave",
        )
    reference = stage_access("reference", metadata.access, metadata.default_access)
    if reference == "open":
        return True
    if "potential" not in metadata.access:
        raise PrivacyFailure(
            f"gate '{GATE}': nothing was exported, because the reference is {reference}, "
            "and a potential predicts what it was trained on",
            fix="set access.potential: open in the study to publish the potential without its training set",
        )
    return False


def write_package(package: Path, source: Source, metadata: Metadata) -> None:
    """Fill an empty folder with a potential and its data card.

    Args:
        package: the folder.
        source: what is published.
        metadata: title, people and licence.
    """
    models = _write_models(package, source)
    if source.open:
        _write_training_set(package, source)
    card = card_content(source, metadata, models)
    # The models must be readable from the folder for the values to check by.
    files = sorted(path.relative_to(package).as_posix() for path in package.rglob("*") if path.is_file())
    card["files"] = [_entry(package, path) for path in files]
    write_json(package / CARD, card)
    card["check"] = _check_values(package, card)
    (package / README).write_text(card_text(card), encoding="utf-8")
    card["files"].append(_entry(package, README))
    write_json(package / CARD, card)
    entries = [*card["files"], _entry(package, CARD)]
    lines = sorted(f"{entry['sha256']}  {entry['path']}" for entry in entries)
    (package / SUMS).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _entry(package: Path, path: str) -> dict[str, Any]:
    payload = describe(package, path)
    return {"path": path, "sha256": payload.sha256, "bytes": payload.size, "media_type": payload.encoding}


def _write_models(package: Path, source: Source) -> dict[str, Any]:
    """The mean model and the members, as files that their own library reads."""
    kind = kind_of(source.summary)
    form = FORMATS.get(kind, ARRAYS)
    if not source.open and form.without_energies is None:
        raise PrivacyFailure(
            f"gate '{GATE}': nothing was exported, because potentials of kind '{kind}' hold the energies of free "
            "atoms, which are the reference's",
            fix="open the reference under access, or keep the potential",
        )
    (package / "members").mkdir()
    names = {"potential/mean": f"mean{form.suffix}"}
    with source.potential.reader() as reader:
        while reader.has(f"potential/members/{len(names) - 1}"):
            index = len(names) - 1
            names[f"potential/members/{index}"] = f"members/{index:02d}{form.suffix}"
        for array, path in names.items():
            content = bytes(reader.array(array).tobytes())
            if not source.open and form.without_energies is not None:
                content = form.without_energies(content)
            (package / path).write_bytes(content)
    mean, *members = names.values()
    return {"mean": mean, "members": members}


def _write_training_set(package: Path, source: Source) -> None:
    """Our file of frames as it is, and its parts as extended XYZ."""
    path = package / FRAMES
    path.parent.mkdir()
    with source.frames.open(mode="rb") as stream, path.open("wb") as target:
        shutil.copyfileobj(stream, target)
    header = read_header(path)
    for part, indices in source.parts().items():
        chosen = set(indices)
        if chosen:
            frames = (frame for index, frame in enumerate(iter_frames(path)) if index in chosen)
            write_extended_xyz(path.with_name(f"{part}.extxyz"), frames, header)


def _check_values(package: Path, card: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the mean model says of the first frame held out, for whoever loads it elsewhere.

    None where the set stays out, or the model's library is not installed here.
    """
    training = card["training_set"]
    if not training["included"] or not training["held_out"]:
        return None
    try:
        calculator: PublishedPotential = load_potential(package)
    except MissingComponent:
        return None
    index = training["held_out"][0]
    atoms = next(f for i, f in enumerate(iter_frames(package / FRAMES)) if i == index).atoms()
    atoms.calc = calculator
    free = card["energy_zero"]["atomic_energies"]["values"]
    energy = atoms.get_potential_energy()
    return {
        "frame": index,
        "file": "training/held_out.extxyz",
        "energy": {"value": energy, "unit": "eV"},
        "energy_from_free_atoms": {
            "value": energy - sum(free[symbol] for symbol in atoms.get_chemical_symbols()),
            "unit": "eV",
        },
        "forces": {"value": atoms.get_forces().tolist(), "unit": "eV/Å"},
        "stress": {"value": atoms.get_stress().tolist(), "unit": "eV/Å^3"},
    }
