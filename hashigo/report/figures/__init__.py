"""All figures of the report: which there are, what they show, and drawing those that a run has numbers for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.figure import Figure

from hashigo.errors import InputError
from hashigo.report.figures import (
    component,
    conductivity,
    crystal,
    dynamics,
    expansion,
    green_kubo,
    learning,
    mesoscale,
    phonons,
    potential,
    reliability,
    search,
    thermoelasticity,
)
from hashigo.report.figures.source import Results
from hashigo.report.figures.style import svg

__all__ = ["PLANNED", "Picture", "Plan", "Results", "draw_all"]


@dataclass(frozen=True)
class Plan:
    """A figure that the report may hold.

    Attributes:
        name: short, for files and anchors.
        title: as printed.
        caption: what is to be seen.
        draw: draws it, or raises InputError where a number is missing.
    """

    name: str
    title: str
    caption: str
    draw: Callable[[Results], Figure]


@dataclass(frozen=True)
class Picture:
    """A figure as it stands in the report: `svg` is a whole SVG document."""

    name: str
    title: str
    caption: str
    svg: str


PLANNED = (
    Plan(
        "learning",
        "Learning in rounds",
        "Left, relative standard uncertainty of each property by the committee over the frames labelled, with its goal "
        "(dashed); grey rounds have a spread that is not calibrated. Right, force error of the mean potential on the "
        "frames held out, which are others in each round.",
        learning.rounds,
    ),
    Plan(
        "search",
        "Choice of the potential's model",
        "Cross-validated error of each model that was tried against the cost of evaluating it, estimated from its "
        "size; bars are one standard error over the folds. Left, force components; right, the error by which models "
        "are judged, of energies, forces and stress in units of their scales. Chosen is the cheapest model below the "
        "dashed line, one standard error above the best. Errors of forces do not rank those of properties.",
        search.search,
    ),
    Plan(
        "parity",
        "Potential against reference",
        "Predictions of the mean potential against the reference, for frames it was trained on and for frames held "
        "out; below, their difference. Bars are the standard uncertainty of a prediction. Energies count from the "
        "free atoms.",
        potential.parity,
    ),
    Plan(
        "reliability",
        "Whether the potential's uncertainty holds",
        "Frames held out, which neither trained nor calibrated the potential. Left: share of the values inside their "
        "intervals against what it should be; marks are the intervals of 68 % and 95 %, lines between them follow a "
        "normal distribution. Bars are binomial, as if all values were independent; those of one frame are not. Right: "
        "root-mean-square error against predicted standard uncertainty, of thirds of the values by that uncertainty.",
        reliability.reliability,
    ),
    Plan(
        "directional-modulus",
        "Stiffness of the crystal by direction",
        "Young's modulus under tension along directions of a plane, the first axis of the plane at 0°, in the "
        "Cartesian axes of the standardised cell; planes with equal curves are shown once. Bands: committee spread.",
        crystal.directional_modulus,
    ),
    Plan(
        "sound-velocities",
        "Sound in the crystal by direction",
        "Phase velocities of the three plane waves at long wavelength (Christoffel's equation) along great circles: "
        "from z over x and y back to z, and from z to the diagonal of x and y. Names hold where a wave is purely "
        "transverse or longitudinal. Bands: committee spread.",
        crystal.sound_velocities,
    ),
    Plan(
        "bands",
        "Phonon bands and density of states",
        "Bands of the mean potential at its own relaxed cell, with the spread of the committee; dashed, from the "
        "reference's forces directly by symfc; dotted, by the potential on the same displacements at the same cell, "
        "so that what differs between the last two are the forces. Imaginary frequencies are drawn as negative. Where "
        "Born charges are given, longitudinal and transverse optical modes are split, at Γ as seen from each line.",
        phonons.bands,
    ),
    Plan(
        "thermal-properties",
        "Harmonic thermal properties",
        "Heat capacity and entropy (left) and vibrational Helmholtz energy (right) at constant volume. Bands: "
        "committee spread, often thinner than the line.",
        phonons.thermal_properties,
    ),
    Plan(
        "gruneisen",
        "Grüneisen parameters",
        "Left, mode Grüneisen parameters −∂ln ν/∂ln V along the bands, from force constants at volumes 1 % larger and "
        "smaller with positions relaxed; a positive one softens as the crystal expands. Acoustic modes next to Γ are "
        "left out. Right, their mean weighted with the modes' heat capacities, which the thermal expansion follows; "
        "band, one standard uncertainty of mesh and committee.",
        phonons.gruneisen,
    ),
    Plan(
        "modes",
        "Single phonon modes",
        "Modes of a mesh of wave vectors by the mean potential: magnitude of the group velocity; participation ratio, "
        "the share of the primitive cell's atoms that move in a mode; and the density of states by the element that "
        "moves.",
        phonons.single_modes,
    ),
    Plan(
        "thermal-expansion",
        "Thermal expansion",
        "Linear thermal expansion, heat capacity at constant pressure per mole of primitive cells, and isothermal bulk "
        "modulus, quasi-harmonic. Bands: one standard uncertainty: committee, mesh, supercell and fit.",
        expansion.over_temperature,
    ),
    Plan(
        "thermal-stiffness",
        "Elastic constants at temperature",
        "Adiabatic (solid) and isothermal (dashed) constants in the axes of the conventional cell, quasi-harmonic; "
        "those that differ. Bands: one standard uncertainty of the adiabatic ones, committee and numerical errors.",
        thermoelasticity.over_temperature,
    ),
    Plan(
        "kappa-temperature",
        "Lattice thermal conductivity over temperature",
        "Relaxation-time approximation, with the finest mesh of wave vectors; bars are one standard uncertainty, "
        "which includes the estimated error of the mesh.",
        conductivity.over_temperature,
    ),
    Plan(
        "kappa-mesh",
        "Lattice thermal conductivity over the mesh",
        "The conductivity grows with the mesh; a line in 1/N through the last three meshes gives the limit. Its "
        "distance from the finest mesh is the mesh's part of the uncertainty.",
        conductivity.over_mesh,
    ),
    Plan(
        "kappa-cumulative",
        "Conductivity by mean free path",
        "Share of the conductivity carried by phonons of up to a mean free path. Grains smaller than the paths that "
        "carry most of it lower the conductivity.",
        conductivity.cumulative,
    ),
    Plan(
        "green-kubo",
        "Conductivity from the heat flux",
        "Left, running integral of the heat flux's autocorrelation, mean over independent trajectories; band, its "
        "standard error; dotted, the time from which on the autocorrelation is lost in its scatter; horizontal, the "
        "conductivity by cepstral analysis. Right, periodogram of the flux, means of eight frequencies; its limit at "
        "zero is the conductivity (point), read from the frequencies below the dotted line.",
        green_kubo.running_integral,
    ),
    Plan(
        "equation-of-state",
        "Equation of state at temperature",
        "Average pressure of molecular dynamics in fixed cells, its kinetic part included, with Birch and Murnaghan's "
        "equation of state fitted to it; bars are one standard error of the finite trajectories. Nuclei are classical.",
        dynamics.equation_of_state,
    ),
    Plan(
        "arrangement",
        "How atoms are arranged, and how far they move",
        "Radial distribution functions (left) and mean-square displacements (right) by molecular dynamics at the "
        "relaxed cell; a displacement that levels off is vibration, one that keeps rising is diffusion. Bands: one "
        "standard error over the trajectories.",
        dynamics.arrangement,
    ),
    Plan(
        "velocity-spectrum",
        "Vibrations at temperature against harmonic ones",
        "Spectrum of the mass-weighted velocities of molecular dynamics, scaled to the number of modes, over the "
        "harmonic density of states of the phonons; dotted, the same with the resolution that the length of the "
        "trajectories allows. The simulated cell holds few wave vectors; a shift or broadening beyond that is "
        "anharmonic.",
        dynamics.spectrum,
    ),
    Plan(
        "kappa-grain-size",
        "Conductivity of the polycrystal over grain size",
        "Effective conductivity; grain boundaries scatter phonons mode by mode, or have the thermal resistance that "
        "the study gives. Bars are one standard uncertainty, all parts together. The dashed line is the single "
        "crystal; bands, where they can be seen, are the bounds of Hashin and Shtrikman for these grains.",
        conductivity.over_grain_size,
    ),
    Plan(
        "bounds",
        "Moduli of the polycrystal and their bounds",
        "Effective moduli with one standard uncertainty. Voigt and Reuss are those of this sample; Hashin and "
        "Shtrikman's bounds and the self-consistent estimate are those of an infinite polycrystal of all orientations, "
        "which a small sample may leave.",
        crystal.moduli_and_bounds,
    ),
    Plan(
        "slices",
        "Slice through the microstructure",
        "A middle plane of the first realisation: grains; stress under a mean strain of 0.1 % along x; magnitude of "
        "the heat flux under a mean temperature gradient of 1 K/µm along x, at the first temperature and grain size. "
        "The whole fields stand in microstructure.vtkhdf.",
        mesoscale.slices,
    ),
    Plan(
        "field-distributions",
        "Distribution of stress and heat flux",
        "Of the first realisation, over its volume: von Mises stress under a mean strain of 0.1 % along x, and "
        "magnitude of the heat flux under a mean temperature gradient of 1 K/µm along x, at the first temperature and "
        "grain size.",
        mesoscale.distributions,
    ),
    Plan(
        "stress-between-grains",
        "Stress between grains",
        "What a change of temperature leaves in a polycrystal that nothing holds. Left, largest principal stress in "
        "a middle plane of the first realisation, red in tension; right, share of the volume with a smaller stress, "
        "mean over the realisations and, as a band, all of them.",
        mesoscale.stress_between_grains,
    ),
    Plan(
        "grain-sizes",
        "Grains of the microstructure",
        "Of all realisations: left, sphere-equivalent diameters of the crystal's grains with a log-normal distribution "
        "of their mean and spread of the logarithm; right, with how many others they share a face.",
        mesoscale.grain_sizes,
    ),
    Plan(
        "representative-volume",
        "Representative volume",
        "Left, mean over the realisations against the number of grains, over that of the largest samples; bars are one "
        "standard error, the band is the tolerance. Right, scatter of a single realisation; where volumes are "
        "representative it falls with the root of their grains.",
        mesoscale.representative,
    ),
    Plan(
        "component-history",
        "Temperatures of the component",
        "Left, temperatures at the probes; the band holds those of all cells. Right, where there is a steady state, "
        "the largest distance of a temperature from it, and 5 % of that at the start (dotted).",
        component.history,
    ),
    Plan(
        "component-slices",
        "Slice through the component",
        "Middle plane, of the three that in which temperatures differ most, at the last output time. The whole fields, "
        "over time, stand in component.vtkhdf.",
        component.slices,
    ),
)


def draw_all(results: Results) -> list[Picture]:
    """Draw every figure that there are numbers for; the others are left out."""
    pictures = []
    for plan in PLANNED:
        try:
            figure = plan.draw(results)
        except InputError:
            continue  # its stage has not run, or had not what it takes
        pictures.append(Picture(plan.name, plan.title, plan.caption, svg(figure)))
    return pictures
