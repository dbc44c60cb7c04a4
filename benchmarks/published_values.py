"""Numbers that others published, with their sources, for `accuracy.py`: measured unless it says otherwise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy.special import erf

HALL = "Hall, Phys. Rev. 161, 756 (1967)"
JANAF = "Chase, NIST-JANAF Thermochemical Tables, 4th edition (1998)"
SUMINO = "Sumino, Anderson & Suzuki, Phys. Chem. Miner. 9, 38 (1983)"


@dataclass(frozen=True)
class Published:
    """A number of a crystal, and the row of results that it belongs beside.

    Attributes:
        quantity: of the vocabulary.
        label: as it is printed, with its unit.
        value: in that unit.
        source: who published it.
        index: component of the tensor.
        conditions: of the row, e.g. {"temperature": 300.0}, K.
        scale: our unit times this is the printed one.
    """

    quantity: str
    label: str
    value: float
    source: str
    index: tuple[int, ...] = ()
    conditions: dict[str, float] = field(default_factory=dict)
    scale: float = 1.0


def at(
    quantity: str,
    label: str,
    values: dict[float, float],
    source: str,
    index: tuple[int, ...] = (),
    scale: float = 1.0,
) -> list[Published]:
    """One quantity at several temperatures, K."""
    return [
        Published(quantity, f"{label}, {t:g} K", value, source, index, {"temperature": float(t)}, scale)
        for t, value in values.items()
    ]


def silicon_expansion(temperature: float) -> float:
    """Linear thermal expansion of silicon, 1e-6/K, by the polynomial of NIST's cryogenic data (7 to 600 K).

    Source: trc.nist.gov/cryogenics/materials/Silicon, after Swenson, J. Phys. Chem. Ref. Data 12, 179 (1983).
    """
    t = temperature
    coldest = 4.8e-5 * t**3 + (
        1.005e-5 * t**5 - 5.99688e-6 * t**5.5 + 1.25574e-6 * t**6 - 1.12086e-7 * t**6.5 + 3.63225e-9 * t**7
    ) * ((1 + erf(t - 15)) / 2)
    cold = -47.6 + 2.67708e-2 * (t - 76) ** 2 - 1.22829e-4 * (t - 76) ** 3 + 1.62544e-18 * (t - 76) ** 9
    warm = 4.72374e2 - 3.58796e4 / t - 1.24191e7 / t**2 + 1.25972e9 / t**3
    below_52, above_200 = (1 - erf(0.2 * (t - 52))) / 2, (1 + erf(0.1 * (t - 200))) / 2
    return float(0.01 * (coldest * below_52 + cold * (1 - below_52) * (1 - above_200) + warm * above_200))


def silicon_expansion_hot(temperature: float) -> float:
    """Linear thermal expansion of silicon, 1e-6/K, 120 to 1500 K.

    Source: Okada & Tokumaru, J. Appl. Phys. 56, 314 (1984).
    """
    return float(3.725 * (1 - np.exp(-5.88e-3 * (temperature - 124))) + 5.548e-4 * temperature)


def _of(function: Callable[[float], float], temperatures: tuple[float, ...]) -> dict[float, float]:
    return {t: round(function(t), 4) for t in temperatures}


#: κ in W/(m K); natural silicon.
GLASSBRENNER = {200: 266.0, 300: 156.0, 400: 105.0, 500: 80.0, 700: 52.0, 1000: 31.0}

#: The demo: from forces at one cell to the polycrystal.
SILICON = [
    Published("lattice_parameters", "a₀ / Å", 5.43102, "CODATA 2018, 22.5 °C", (0,)),
    Published("stiffness", "C₁₁ / GPa", 167.54, f"{HALL}, 4.2 K", (0, 0)),
    Published("stiffness", "C₁₂ / GPa", 64.92, f"{HALL}, 4.2 K", (0, 1)),
    Published("stiffness", "C₄₄ / GPa", 80.24, f"{HALL}, 4.2 K", (3, 3)),
    Published("optical_frequency_gamma", "ν_Γ / THz", 15.53, "Nilsson & Nelin, PRB 6, 3777 (1972), 300 K"),
    *at(
        "lattice_thermal_conductivity", "κ / W/(m K)", GLASSBRENNER,
        "Glassbrenner & Slack, Phys. Rev. 134, A1058 (1964)", (0, 0),
    ),
    Published("effective_bulk_modulus", "K / GPa", 97.8, f"Hill average of {HALL}, 298 K"),
    Published("effective_shear_modulus", "G / GPa", 66.5, f"Hill average of {HALL}, 298 K"),
]  # fmt: skip

EXPANSION = [
    *at(
        "thermal_expansion", "α / 10⁻⁶/K", _of(silicon_expansion, (50, 80, 100, 120, 150, 200, 300, 400, 500)),
        "NIST cryogenic data, after Swenson (1983)", (0, 0), 1e6,
    ),
    *at(
        "thermal_expansion", "α / 10⁻⁶/K", _of(silicon_expansion_hot, (600, 800, 1000)),
        "Okada & Tokumaru, J. Appl. Phys. 56, 314 (1984)", (0, 0), 1e6,
    ),
]  # fmt: skip

#: Per mole of atoms; ours is per mole of primitive cells of two.
HEAT = at(
    "isobaric_heat_capacity",
    "C_p / J/(K mol atoms)",
    {100: 7.268, 200: 15.636, 300: 20.05, 400: 22.15, 500: 23.34, 600: 24.15, 800: 25.35, 1000: 26.32},
    JANAF,
    scale=0.5,
)

#: Temperature coefficients near 298 K: Bourgeois et al., Proc. IEEE Freq. Control Symp. (1997), p-type, 4 Ω cm.
_SLOPES = {
    "C₁₁": (165.64, -73.25e-6, (0, 0)),
    "C₁₂": (63.94, -91.59e-6, (0, 1)),
    "C₄₄": (79.51, -60.14e-6, (3, 3)),
}
#: Straight lines in T, 400 to 873 K: Nikanorov, Burenkov & Stepanov, Sov. Phys. Solid State 13, 2516 (1971), as quoted
#: by the Ioffe Institute's database.
_LINES = {"C₁₁": (163.8, -0.0128, (0, 0)), "C₁₂": (59.2, -0.0048, (0, 1)), "C₄₄": (81.7, -0.0059, (3, 3))}

#: Between 4.2 and 50 K the constants change by less than 0.1 %.
_COLD = {"C₁₁": (167.54, (0, 0)), "C₁₂": (64.92, (0, 1)), "C₄₄": (80.24, (3, 3))}

STIFFNESS_AT_TEMPERATURE = (
    [
        published
        for name, (value, index) in _COLD.items()
        for published in at("adiabatic_stiffness", f"{name} / GPa", {50: value}, f"{HALL}, 4.2 K", index)
    ]
    + [
        published
        for name, (value, slope, index) in _SLOPES.items()
        for published in at(
            "adiabatic_stiffness",
            f"{name} / GPa",
            {300: round(value * (1 + slope * 2), 2), 400: round(value * (1 + slope * 102), 2)},
            f"{HALL}, slopes of Bourgeois et al. (1997)",
            index,
        )
    ]
    + [
        published
        for name, (value, slope, index) in _LINES.items()
        for published in at(
            "adiabatic_stiffness",
            f"{name} / GPa",
            {t: round(value + slope * t, 2) for t in (500, 800)},
            "Nikanorov, Burenkov & Stepanov (1971)",
            index,
        )
    ]
)

MAGNESIA = [
    Published("lattice_parameters", "a₀ / Å", 4.212, "measured, 300 K", (0,)),
    Published("optical_frequency_gamma", "ν_TO / THz", 12.02, "infrared, 401 cm⁻¹, as usually quoted, 300 K"),
    Published(
        "longitudinal_optical_frequency_gamma", "ν_LO / THz", 21.52, "infrared, 718 cm⁻¹, as usually quoted, 300 K"
    ),
    Published("stiffness", "C₁₁ / GPa", 296.6, f"{SUMINO}, 300 K", (0, 0)),
    Published("stiffness", "C₁₂ / GPa", 95.9, f"{SUMINO}, 300 K", (0, 1)),
    Published("stiffness", "C₄₄ / GPa", 156.2, f"{SUMINO}, 300 K", (3, 3)),
]  # fmt: skip
