"""What the sections of a study are made of: numbers that may carry a unit, and the section itself."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, WithJsonSchema

from hashigo.study.units import convert


def _to(unit: str) -> BeforeValidator:
    return BeforeValidator(lambda value: convert(value, unit))


def _schema(unit: str) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string"}], "description": f"in {unit}"})


Length = Annotated[float, _to("Å"), _schema("Å")]
GrainSize = Annotated[float, _to("nm"), _schema("nm")]
Temperature = Annotated[float, _to("K"), _schema("K")]
Frequency = Annotated[float, _to("THz"), _schema("THz")]
Force = Annotated[float, _to("eV/Å"), _schema("eV/Å")]
Pressure = Annotated[float, _to("GPa"), _schema("GPa")]
Time = Annotated[float, _to("fs"), _schema("fs")]
LongTime = Annotated[float, _to("ps"), _schema("ps")]
WattsPerMetreKelvin = Annotated[float, _to("W/(m K)"), _schema("W/(m K)")]
Resistivity = Annotated[float, _to("ohm m"), _schema("ohm m")]
PerKelvin = Annotated[float, _to("1/K"), _schema("1/K")]
Angle = Annotated[float, _to("degree"), _schema("°")]
ThermalResistance = Annotated[float, _to("m^2 K/W"), _schema("m^2 K/W")]
Millimetres = Annotated[float, _to("mm"), _schema("mm")]
Seconds = Annotated[float, _to("s"), _schema("s")]
HeatFlux = Annotated[float, _to("W/m^2"), _schema("W/m^2")]
HeatTransfer = Annotated[float, _to("W/(m^2 K)"), _schema("W/(m^2 K)")]
PowerDensity = Annotated[float, _to("W/m^3"), _schema("W/m^3")]
Density = Annotated[float, _to("kg/m^3"), _schema("kg/m^3")]
SpecificHeat = Annotated[float, _to("J/(kg K)"), _schema("J/(kg K)")]
Ratio = Annotated[float, _to(""), _schema("a pure number, or percent")]
Count = Annotated[int, Field(ge=1, le=100_000)]
Repeat = Annotated[int, Field(ge=1, le=20)]
Repeats = tuple[Repeat, Repeat, Repeat]

#: Names of the two ways to tell a supercell; they stand in pydantic's key paths.
SUPERCELL_TAGS = ("repeats", "distance")
#: Names of a value that is a word or a section.
WORD, SECTION = "as a word", "as a section"
#: Names of a value that is a number, or numbers by temperature.
NUMBER, TABLE = "as a number", "by temperature"
#: All that stand in pydantic's key paths, and are no keys.
TAGS = (*SUPERCELL_TAGS, WORD, SECTION, NUMBER, TABLE)
_Distance = Annotated[float, _to("Å"), Field(gt=0, le=100), _schema("Å")]


def _way(value: Any) -> str:
    return "repeats" if isinstance(value, (list, tuple)) else "distance"


#: Repeats of the conventional cell, or the least distance of an atom to its own image, Å.
Supercell = Annotated[
    Annotated[Repeats, Tag("repeats")] | Annotated[_Distance, Tag("distance")], Discriminator(_way)
]
#: A default of as much, Å: two cells of silicon, or of magnesium oxide.
IMAGE_DISTANCE = 8.0
SUPERCELL = "Repeats of the conventional cell, or the least distance of an atom to its own image, Å."


class Section(BaseModel):
    """A part of the study; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, validate_default=True)
