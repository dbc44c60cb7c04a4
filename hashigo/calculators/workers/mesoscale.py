"""Task "mesoscale": effective stiffness and conductivity of a polycrystal from those of its crystal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from hashigo.calculators.results import ResultReader, ResultWriter
from hashigo.calculators.workers.handover_table import HandoverTable
from hashigo.calculators.workers.homogenization import (
    output,
    output_conduction,
    output_sample,
    output_thermoelastic,
)
from hashigo.calculators.workers.homogenization.bounds import FIX, GATE, Margin, violated_bound
from hashigo.calculators.workers.homogenization.conduction import (
    BoundaryLaw,
    ModeByMode,
    Resistive,
    thermal_ensemble,
)
from hashigo.calculators.workers.homogenization.ensemble import (
    ELASTIC_COST,
    MEMBER_COST,
    Ensemble,
    Tick,
    elastic_ensemble,
)
from hashigo.calculators.workers.homogenization.grain_boundaries import find_interfaces, smoothing_reach
from hashigo.calculators.workers.homogenization.inputs import (
    ONE_SAMPLE,
    Conduction,
    Cooling,
    Crystal,
    marked,
    read_conduction,
    read_cooling,
    read_crystal,
)
from hashigo.calculators.workers.homogenization.materials import Material, read_materials, tensors_of
from hashigo.calculators.workers.homogenization.microstructure import Microstructure
from hashigo.calculators.workers.homogenization.output_conduction import Heat
from hashigo.calculators.workers.homogenization.output_grains import write_grains
from hashigo.calculators.workers.homogenization.probes import expansion_probe, stress_probe
from hashigo.calculators.workers.homogenization.problem_file import write_problem
from hashigo.calculators.workers.homogenization.recipe import Recipe
from hashigo.calculators.workers.homogenization.representative import (
    Representative,
    find_representative,
    write_representative,
)
from hashigo.calculators.workers.homogenization.settings import TASK, Settings
from hashigo.calculators.workers.homogenization.slabs import Slabs
from hashigo.calculators.workers.homogenization.statistics import grain_statistics
from hashigo.calculators.workers.homogenization.tensors import Floats, isotropic_moduli, voigt_to_mandel
from hashigo.calculators.workers.job import Job
from hashigo.errors import InputError

TASK_VERSION = 8


def run(job: Job) -> None:
    """Homogenise random polycrystals; writes quantities, bounds and fields.

    Raises:
        InputError: when a parameter or an input does not do.
    """
    settings = Settings.read(job.parameters)
    recipe = Recipe.read(job.parameters, job.inputs.get("microstructure"))
    if not recipe.varies:
        settings = replace(settings, realisations=1)
    crystal, conduction, cooling = _read_inputs(job, settings)
    if recipe.varies and settings.realisations == 1:
        crystal, conduction = marked(crystal, conduction, ONE_SAMPLE)
    slabs = Slabs(recipe.shape, job.comm, job.threads, settings.precision)
    samples = [
        recipe.make((settings.seed, index), slabs.planes, job.comm) for index in range(settings.realisations)
    ]
    materials = read_materials(settings.materials)
    others = tensors_of(materials, "stiffness")
    statistics = [grain_statistics(sample, len(recipe.materials), job.comm) for sample in samples]
    tick = _ticker(job, settings, crystal, conduction)
    members = None if crystal.members is None else voigt_to_mandel(crystal.members)
    stiffness = voigt_to_mandel(crystal.stiffness)
    shape = len(samples), len(stiffness), 0 if members is None else len(members)
    expansion = expansion_probe(shape, crystal, materials)
    stress = stress_probe(shape, crystal, cooling, materials)
    probes = [probe for probe in (expansion, stress) if probe is not None]
    elastic = elastic_ensemble(samples, slabs, stiffness, members, settings.tolerance, tick, others, probes)
    heat = None
    if conduction is not None:
        heat = _conduct(settings, recipe.isotropic, samples, slabs, conduction, tick, materials)
    margins = elastic.margins("stiffness")
    if heat is not None:
        margins.update(heat.total.margins("thermal conductivity"))
    thermal = None if heat is None else heat.total
    fields = output_sample.gathered_fields(slabs, samples[0], elastic, thermal, stress)
    problems = {"stiffness": elastic, **({} if heat is None else {"conductivity": heat.total})}
    phases = {
        name: output_sample.gathered_phases(slabs, samples[0], found) for name, found in problems.items()
    }
    search = _find_representative(job, settings, recipe, crystal, conduction, materials)
    if job.is_root:
        with ResultWriter(job.output, task=TASK, task_version=TASK_VERSION) as writer:
            output.write_elastic(writer, elastic, crystal)
            if recipe.isotropic:
                output.write_elastic_estimates(writer, crystal, others, samples)
            if expansion is not None:
                output_thermoelastic.write_expansion(writer, expansion, crystal)
            if stress is not None and cooling is not None:
                output_thermoelastic.write_stress(writer, stress, cooling, crystal)
            if heat is not None:
                output_conduction.write_heat(writer, heat)
            write_grains(writer, samples[0], statistics, recipe)
            if search is not None:
                write_representative(writer, search, recipe.grains)
            output_sample.write_sample(writer, settings, recipe, samples[0], fields)
            for name, found in problems.items():
                write_problem(writer, name, found.table, phases[name])
            _write_gate(writer, margins, settings.bound_tolerance)


def _conduct(
    settings: Settings,
    isotropic: bool,
    samples: list[Microstructure],
    slabs: Slabs,
    conduction: Conduction,
    tick: Tick,
    materials: tuple[Material, ...],
) -> Heat:
    """Effective conductivity at every temperature and grain size."""
    sizes, boundary = settings.grain_sizes, settings.boundary
    others = tensors_of(materials, "conductivity")
    pairs = [(index, size) for index in conduction.indices for size in sizes]
    void = np.array([False, *(material.is_void for material in materials)])
    interfaces = [
        find_interfaces(sample.grain_id, slabs, smoothing_reach(1.0 / sample.spacing), void[sample.material])
        for sample in samples
    ]

    def by_condition(values: Floats, axis: int = 0) -> Floats:
        return np.repeat(values, len(sizes), axis=axis)

    def solved(law: BoundaryLaw) -> Ensemble:
        return thermal_ensemble(len(samples), slabs, law, settings.tolerance, tick)

    if boundary.kapitza is not None:
        bulk = conduction.bulk
        law = Resistive(
            samples,
            interfaces,
            slabs,
            by_condition(bulk.value),
            None if bulk.members is None else by_condition(bulk.members, axis=1),
            by_condition(boundary.resistance(conduction.temperatures)),
            np.tile(sizes, len(conduction.temperatures)),
            others,
        )
        return Heat(samples, interfaces, sizes, conduction, boundary, isotropic, solved(law))
    electronic = conduction.electronic_tensors
    besides = None if electronic is None else by_condition(electronic)
    scattered = ModeByMode(samples, conduction.models, pairs, boundary.specularity, besides, others)
    total = solved(scattered)
    lattice = None if electronic is None else solved(replace(scattered, electronic=None))
    return Heat(samples, interfaces, sizes, conduction, boundary, isotropic, total, lattice)


def _find_representative(
    job: Job,
    settings: Settings,
    recipe: Recipe,
    crystal: Crystal,
    conduction: Conduction | None,
    materials: tuple[Material, ...],
) -> Representative | None:
    """Grains and realisations that the mean model needs under the first condition, where the study asks for them."""
    wanted = settings.representative
    if wanted is None:
        return None
    heat = None if conduction is None else conduction.first_mean
    if wanted.quantity == "conductivity" and heat is None:
        raise InputError(
            "representative.property is conductivity, and there is none", fix="choose stiffness instead"
        )
    first = replace(settings, grain_sizes=settings.grain_sizes[:1])
    stiffness, others = voigt_to_mandel(crystal.stiffness[:1]), tensors_of(materials, "stiffness")
    most = len(wanted.sizes) * wanted.most_realisations

    def evaluate(sample: Recipe, index: int) -> Floats:
        done = wanted.sizes.index(sample.grains) * wanted.most_realisations + index
        job.progress(done, most, f"representative volume: {sample.grains} grains, realisation {index + 1}")
        slabs = Slabs(sample.shape, job.comm, job.threads, settings.precision)
        made = [sample.make((settings.seed, sample.grains, index), slabs.planes, job.comm)]
        if heat is not None and wanted.quantity == "conductivity":
            found = _conduct(first, recipe.isotropic, made, slabs, heat, _silent, materials).total
            return np.array([np.trace(found.realisations[0, 0]) / 3])
        elastic = elastic_ensemble(made, slabs, stiffness, None, settings.tolerance, _silent, others)
        return np.array([float(value[0, 0]) for value in isotropic_moduli(elastic.realisations)])

    return find_representative(recipe, wanted, evaluate)


def _silent(cost: float, text: str) -> None:
    """Progress is told by realisation."""


def _read_inputs(job: Job, settings: Settings) -> tuple[Crystal, Conduction | None, Cooling | None]:
    """Read on one rank, for all."""
    if "handover" not in job.inputs:
        raise InputError(f"task '{TASK}' has no input 'handover'")
    found: tuple[Crystal, Conduction | None, Cooling | None] | None = None
    if job.is_root:
        with ResultReader(job.inputs["handover"]) as reader:
            table = HandoverTable.read(reader)
        found = read_crystal(table), _read_conduction(job, settings, table), _read_cooling(job, settings)
    shared: tuple[Crystal, Conduction | None, Cooling | None] = job.comm.bcast(found, root=0)
    return shared


def _read_conduction(job: Job, settings: Settings, table: HandoverTable) -> Conduction | None:
    if "conductivity" not in job.inputs:
        return None
    if not settings.grain_sizes:
        raise InputError(
            f"parameter 'grain_sizes' of task '{TASK}' is empty", fix="list mean grain diameters in nm"
        )
    with ResultReader(job.inputs["conductivity"]) as reader:
        return read_conduction(reader, table)


def _read_cooling(job: Job, settings: Settings) -> Cooling | None:
    wanted = settings.thermal_stress
    if not wanted:
        return None
    if "expansion" not in job.inputs:
        raise InputError(
            "thermal_stress needs the crystal's thermal expansion",
            fix="add the section 'expansion' to the study",
        )
    with ResultReader(job.inputs["expansion"]) as reader:
        return read_cooling(reader, float(wanted["stress_free"]), float(wanted["temperature"]))


def _ticker(job: Job, settings: Settings, crystal: Crystal, conduction: Conduction | None) -> Tick:
    """Adds up the cost of solved problems and tells it."""
    members = 0 if crystal.members is None else len(crystal.members)
    total = ELASTIC_COST * (1 + MEMBER_COST * members) * len(crystal.stiffness)
    if conduction is not None:
        conditions = len(conduction.indices) * len(settings.grain_sizes)
        conditions *= 1 if conduction.electronic is None or settings.boundary.kapitza else 2
        total += conditions * (1 + MEMBER_COST * len(conduction.models.members))
    total *= settings.realisations
    done = 0.0

    def tick(cost: float, text: str) -> None:
        nonlocal done
        done += cost
        job.progress(done, total, text)

    return tick


def _write_gate(writer: ResultWriter, margins: Mapping[str, Margin], tolerance: float) -> None:
    values = {what: {"voigt": found.voigt, "reuss": found.reuss} for what, found in margins.items()}
    writer.gate(GATE, violated_bound(margins, tolerance), fix=FIX, tolerance=tolerance, margins=values)
