"""The study file: what a scientist asks for, typed, with a default and a description for every field."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import Field, PrivateAttr, model_validator

from hashigo.study.component import Component, check_component
from hashigo.study.conductivity import Conductivity
from hashigo.study.dynamics import Dynamics
from hashigo.study.expansion import Expansion
from hashigo.study.fields import (
    IMAGE_DISTANCE,
    SUPERCELL,
    Count,
    Force,
    Frequency,
    Length,
    Ratio,
    Section,
    Supercell,
    Temperature,
)
from hashigo.study.green_kubo import GreenKubo
from hashigo.study.learning import Learning
from hashigo.study.mesoscale import Mesoscale
from hashigo.study.search import SearchField, check_search
from hashigo.study.sscha import Sscha
from hashigo.study.thermoelasticity import Thermoelasticity

STAGE_NAMES = (
    "structure", "learning", "reference", "potential", "elasticity", "phonons", "sscha", "conductivity", "dynamics",
    "expansion", "green_kubo", "thermoelasticity", "handover", "mesoscale", "component",
)  # fmt: skip
StageName = Literal[
    "structure",
    "learning",
    "reference",
    "potential",
    "elasticity",
    "phonons",
    "sscha",
    "conductivity",
    "dynamics",
    "expansion",
    "green_kubo",
    "thermoelasticity",
    "handover",
    "mesoscale",
    "component",
]
Access = Literal["open", "restricted", "closed"]

#: Sections that a study may lack, and whose stages then do not run.
OPTIONAL = ("component", "dynamics", "expansion", "green_kubo", "learning", "sscha", "thermoelasticity")


class Author(Section):
    """Somebody who made the study."""

    name: str = Field(min_length=1, description="Name as it is to be printed.")
    orcid: str | None = Field(
        None, pattern=r"^\d{4}-\d{4}-\d{4}-\d{3}[\dX]$", description="ORCID identifier, four groups of four."
    )
    affiliation: str | None = Field(None, description="Institution.")


class Structure(Section):
    """The crystal."""

    file: str = Field(description="CIF, POSCAR, extended XYZ or phonopy YAML file, relative to the study.")
    tolerance: Length = Field(1e-3, gt=0, description="Distance within which symmetry is looked for, Å.")
    metal: Literal["auto"] | bool = Field(
        "auto",
        description="Whether electrons carry heat too; auto: as engine and occupations of the reference tell, and a "
        "mark where they do not.",
    )


class Sampling(Section):
    """Which configurations an engine is asked for."""

    supercell: Supercell = Field(IMAGE_DISTANCE, description=SUPERCELL)
    displaced: Annotated[int, Field(ge=0)] = Field(20, description="Number of randomly displaced supercells.")
    displacement: Length = Field(0.03, gt=0, le=0.5, description="Displacement of each atom, Å.")
    strained: Annotated[int, Field(ge=0)] = Field(
        12, description="Number of randomly strained conventional cells."
    )
    strain: Ratio = Field(
        0.015, gt=0, le=0.1, description="Largest component of those strains, dimensionless."
    )
    volumes: Annotated[int, Field(ge=0)] = Field(7, description="Number of volume-scaled conventional cells.")
    volume_range: Ratio = Field(0.06, gt=0, le=0.3, description="Volumes reach from 1 - range to 1 + range.")


class Reference(Section):
    """Where forces come from: a file of frames, or an engine."""

    data: str | None = Field(
        None,
        description="File of frames in any format of `hashigo frames convert`, relative to the study; excludes engine.",
    )
    engine: str | None = Field(None, description="Engine that computes the frames; see the docs for names.")
    settings: dict[str, Any] = Field(default_factory=dict, description="The engine's settings, by name.")
    protocol: Literal["fast", "balanced", "precise"] | None = Field(
        None,
        description="Sets k-points, cut-offs, threshold and smearing of a first-principles engine where settings do "
        "not; by default the engine's own.",
    )
    sampling: Sampling = Field(default_factory=Sampling, description="Configurations the engine computes.")
    packed: bool | None = Field(
        None,
        description="Whether frames that could be jobs of their own are computed in one job; by default the site's.",
    )
    polar: Literal["auto"] | bool = Field(
        "auto",
        description="Whether ph.x computes Born charges and dielectric tensor after the frames of Quantum ESPRESSO; "
        "auto: of a crystal of several elements whose smearing is 0.",
    )
    born: str | None = Field(
        None,
        description="File of Born charges and dielectric tensor, relative to the study: phonopy's BORN, a phonopy "
        "YAML, or YAML with born_charges and dielectric; in the axes of the structure file, in place of those of the "
        "frames.",
    )

    @model_validator(mode="after")
    def _one_source(self) -> Reference:
        if (self.data is None) == (self.engine is None):
            raise ValueError("give either 'data' (a frames file) or 'engine', and not both")
        if self.polar is True and self.engine != "quantum_espresso":
            raise ValueError(
                "'polar: true' needs engine quantum_espresso; other frames may bring Born charges"
            )
        if self.polar is True and self.born is not None:
            raise ValueError("give either 'born' (a file of Born charges) or 'polar: true', and not both")
        if self.protocol is not None and self.engine is None:
            raise ValueError("'protocol' is for an engine, and the frames are given by 'data'")
        return self


#: Keys of the section "potential" that only the polynomial model reads.
POLYNOMIAL_KEYS = ("cutoff", "radial_functions", "max_power", "invariant_order", "invariant_max_l", "search")


class Potential(Section):
    """The learned potential: a committee that is trained on the reference frames, or a universal one as it is."""

    model: str = Field(
        "polynomial",
        description="Kind of potential; see the docs for names. The keys from cutoff to invariant_max_l are for the "
        "polynomial one, settings for the others.",
    )
    settings: dict[str, Any] = Field(
        default_factory=dict, description="Settings of a model that is not polynomial, by name."
    )
    members: int = Field(8, description="Number of members of the committee, at least 2.")
    cutoff: Length = Field(6.0, gt=0, le=20, description="Radius within which atoms interact, Å.")
    radial_functions: Count = Field(10, description="Number of radial basis functions.")
    max_power: Literal[1, 2, 3] = Field(2, description="Highest power of the features in the polynomial.")
    invariant_order: Literal[2, 3, 4, 5, 6] = Field(3, description="Highest order of rotational invariants.")
    invariant_max_l: tuple[int, ...] = Field(
        (8, 8), description="Highest angular number of each order from 2 up."
    )
    held_out: Ratio = Field(
        0.2, gt=0, lt=1, description="Share of the frames kept for testing, dimensionless."
    )
    max_force_error: Force = Field(
        0.05, gt=0, description="Gate: largest root-mean-square force error on held-out frames, eV/Å."
    )
    search: SearchField = Field(
        cast(Any, False),
        description="Whether cross-validation chooses the model before the training: false, true (a small grid), or "
        "the grid.",
    )

    @model_validator(mode="after")
    def _keys_of_the_model(self) -> Potential:
        if self.model == "polynomial":
            if self.settings:
                raise ValueError("'settings' are for other models; the polynomial one has keys of its own")
            return self
        fields = type(self).model_fields
        foreign = [key for key in POLYNOMIAL_KEYS if getattr(self, key) not in (fields[key].default, None)]
        if foreign:
            raise ValueError(
                f"'{foreign[0]}' is for model polynomial; settings of model '{self.model}' stand in 'settings'"
            )
        return self

    @model_validator(mode="after")
    def _committee(self) -> Potential:
        if self.members < 2:
            raise ValueError(f"a committee of {self.members} has no spread; give 'members' of 2 or more")
        if len(self.invariant_max_l) != self.invariant_order - 1:
            raise ValueError(
                f"invariant_max_l needs one number for each order from 2 to {self.invariant_order}, "
                f"that is {self.invariant_order - 1}"
            )
        check_search(self.search, self.invariant_order)
        return self


class Elasticity(Section):
    """Relaxation and elastic constants at 0 K."""

    strain: Ratio = Field(0.005, gt=0, le=0.02, description="Strain of the strain-stress fit, dimensionless.")
    force_tolerance: Force = Field(1e-5, gt=0, description="Relaxed when every force is below, eV/Å.")


class Phonons(Section):
    """Harmonic lattice dynamics."""

    supercell: Supercell = Field(IMAGE_DISTANCE, description=SUPERCELL)
    snapshots: Count = Field(4, description="Number of displaced supercells that the potential computes.")
    displacement: Length = Field(0.03, gt=0, le=0.5, description="Displacement of each atom in them, Å.")
    mesh: Count = Field(
        31, description="q-points along each reciprocal vector for DOS and thermal properties."
    )
    temperatures: tuple[Temperature, ...] = Field(
        tuple(float(t) for t in range(0, 1001, 50)), min_length=1, description="Temperatures, K."
    )
    imaginary_tolerance: Frequency = Field(
        -0.1, le=0, description="Gate: no frequency at a commensurate q-point below this, THz."
    )
    mode_mesh: Count = Field(
        15,
        description="q-points along each reciprocal vector for Grüneisen parameters, velocities, thermal "
        "displacements and states by atom.",
    )
    mode_cutoff: Frequency = Field(
        0.01,
        ge=0,
        description="Modes up to this frequency, imaginary ones among them, are left out of thermal displacements "
        "and of the thermal Grüneisen parameter, THz.",
    )
    follow_imaginary: bool = Field(
        False,
        description="Whether a crystal with an imaginary mode is displaced along it and relaxed, and the structure "
        "found is written as stable.cif.",
    )


class Study(Section):
    """One material, from its structure and reference up to `until`."""

    schema_version: Literal[1] = Field(1, description="Version of this schema.")
    title: str = Field("Untitled study", min_length=1, description="Title of the study and its report.")
    authors: tuple[Author, ...] = Field((), description="Who made it.")
    licence: str | None = Field(
        None, description="SPDX identifier of the licence of the results, e.g. CC-BY-4.0; needed for export."
    )
    access: dict[StageName, Access] = Field(
        default_factory=dict, description="Who may see the results of a stage; those not named are open."
    )
    seed: Annotated[int, Field(ge=0)] = Field(0, description="Seed of all random numbers.")
    site: str = Field("local", description="Where jobs run.")
    max_in_flight: Count | None = Field(
        None, description="Most jobs submitted at once; by default the site's."
    )
    stop_at_gates: bool = Field(True, description="Whether a physical check that does not hold ends the run.")
    until: StageName = Field("mesoscale", description="Last stage to run.")
    structure: Structure = Field(description="The crystal; a file name alone will do.")
    reference: Reference = Field(
        description="Where forces come from; the name of a frames file alone will do."
    )
    learning: Learning | None = Field(
        None,
        description="Label frames in rounds until properties are known; by default all at once, as reference.sampling "
        "says.",
    )
    potential: Potential = Field(default_factory=Potential, description="The learned potential.")
    elasticity: Elasticity = Field(default_factory=Elasticity, description="Cell and elastic constants.")
    phonons: Phonons = Field(default_factory=Phonons, description="Harmonic lattice dynamics.")
    conductivity: Conductivity = Field(
        default_factory=Conductivity, description="Lattice thermal conductivity."
    )
    expansion: Expansion | None = Field(
        None, description="Quasi-harmonic thermal expansion; without this section there is none."
    )
    thermoelasticity: Thermoelasticity | None = Field(
        None, description="Elastic constants at temperature; without this section there are none."
    )
    dynamics: Dynamics | None = Field(
        None, description="Molecular dynamics; without this section there is none."
    )
    green_kubo: GreenKubo | None = Field(
        None,
        description="Conductivity from the heat flux at equilibrium; without this section there is none.",
    )
    sscha: Sscha | None = Field(
        None,
        description="Force constants renormalised by temperature, for strongly anharmonic crystals; without this "
        "section there are none.",
    )
    mesoscale: Mesoscale = Field(default_factory=Mesoscale, description="The polycrystal.")
    component: Component | None = Field(
        None,
        description="Temperatures and thermal stress of a component in time; without this section there are none.",
    )

    _folder: Path = PrivateAttr(default_factory=Path)
    _name: str = PrivateAttr("study")

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        # A section whose lines are all comments is empty: its defaults hold.
        data = {
            key: value
            for key, value in data.items()
            if value is not None or key in ("structure", "reference")
        }
        if isinstance(data.get("structure"), str):
            data["structure"] = {"file": data["structure"]}
        if isinstance(data.get("reference"), str):
            data["reference"] = {"data": data["reference"]}
        return data

    @model_validator(mode="after")
    def _until_is_asked_for(self) -> Study:
        if self.until in OPTIONAL and getattr(self, self.until) is None:
            raise ValueError(
                f"until is {self.until}, and the study has no section of that name; add '{self.until}: {{}}'"
            )
        return self

    @model_validator(mode="after")
    def _learning_labels(self) -> Study:
        if self.learning is not None and self.reference.engine is None:
            raise ValueError(
                "learning needs an engine that labels frames: give 'reference.engine', not 'data'"
            )
        return self

    @model_validator(mode="after")
    def _cells_at_temperature(self) -> Study:
        if self.thermoelasticity is None:
            return self
        if self.expansion is None:
            raise ValueError("thermoelasticity takes the cells of the thermal expansion; add 'expansion: {}'")
        if self.expansion.force_constants != "potential":
            raise ValueError(
                "thermoelasticity needs the expansion of the potential; set expansion.force_constants to potential"
            )
        return self

    @model_validator(mode="after")
    def _renormalised(self) -> Study:
        if self.conductivity.force_constants != "sscha":
            return self
        if self.sscha is None:
            raise ValueError(
                "conductivity.force_constants is sscha, and there is no section of it; add 'sscha: {}'"
            )
        wanted = self.conductivity.temperatures
        if len(wanted) != 1 or wanted[0] not in self.sscha.temperatures:
            raise ValueError(
                "conductivity.temperatures must be one of sscha.temperatures: renormalised force constants are those "
                "of one temperature"
            )
        return self

    @model_validator(mode="after")
    def _temperatures_agree(self) -> Study:
        missing = [t for t in self.mesoscale.temperatures if t not in self.conductivity.temperatures]
        if missing:
            raise ValueError(
                f"mesoscale.temperatures has {missing[0]:g} K, which conductivity.temperatures lacks; "
                "add it there"
            )
        return self

    @model_validator(mode="after")
    def _temperatures_reach(self) -> Study:
        name, section = ("expansion", self.expansion) if self.expansion else ("phonons", self.phonons)
        low, high = min(section.temperatures), max(section.temperatures)
        outside = [t for t in self.mesoscale.temperatures if not low <= t <= high]
        if outside and self.until in ("handover", "mesoscale", "component"):
            raise ValueError(
                f"mesoscale.temperatures has {outside[0]:g} K, and {name}.temperatures reach from {low:g} to "
                f"{high:g} K; add it there: nothing is extrapolated"
            )
        return self

    @model_validator(mode="after")
    def _component_is_known(self) -> Study:
        if self.component is not None:
            check_component(self.component, self.mesoscale, self.expansion is not None)
        return self

    @model_validator(mode="after")
    def _expansion_of_stress(self) -> Study:
        wanted = self.mesoscale.thermal_stress
        if wanted is None:
            return self
        if self.expansion is None:
            raise ValueError(
                "mesoscale.thermal_stress needs the thermal expansion; add the section 'expansion'"
            )
        low, high = min(self.expansion.temperatures), max(self.expansion.temperatures)
        if not low <= wanted.stress_free <= high:
            raise ValueError(
                f"mesoscale.thermal_stress.stress_free is {wanted.stress_free:g} K, and expansion.temperatures reach "
                f"from {low:g} to {high:g} K; add it there: nothing is extrapolated"
            )
        return self

    @model_validator(mode="after")
    def _electrons_of_a_metal(self) -> Study:
        if self.structure.metal is False and self.mesoscale.electronic is not None:
            raise ValueError(
                "structure.metal is false, and mesoscale.electronic is given; leave one of them out"
            )
        return self

    @property
    def folder(self) -> Path:
        """Folder that file names are relative to."""
        return self._folder.resolve()

    @property
    def name(self) -> str:
        """Short name: that of the study file without its ending."""
        return self._name

    def path(self, name: str) -> Path:
        """A file named in the study."""
        return self.folder / name
