"""A small real run to export: a ladder of two stages with jobs, functions, and data of every common kind."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest
from aiida import orm
from aiida.common.exceptions import NotExistent
from aiida.engine import ToContext, WorkChain, calcfunction, run_get_node
from aiida.plugins import CalculationFactory

if "aiida.tools.pytest_fixtures" not in sys.modules:
    # Not given by a conftest above this one.
    from aiida.tools.pytest_fixtures import (  # noqa: F401
        aiida_config,
        aiida_config_factory,
        aiida_profile,
        aiida_profile_factory,
    )

Add = CalculationFactory("core.arithmetic.add")

STUDY = {
    "title": "A ladder of two steps",
    "description": "A run for the tests of the export.",
    "authors": [
        {
            "name": "Josiah Carberry",
            "orcid": "0000-0002-1825-0097",
            "affiliation": "Brown University (https://ror.org/05gq02987)",
        }
    ],
    "licence": "CC-BY-4.0",
    "access": {},
}


@calcfunction
def make_structure(edge):
    structure = orm.StructureData(cell=[[edge.value, 0, 0], [0, edge.value, 0], [0, 0, edge.value]])
    structure.append_atom(position=(0.0, 0.0, 0.0), symbols="Si")
    return structure


@calcfunction
def measure(structure, total):
    arrays = orm.ArrayData({"forces": np.zeros((1, 3)), "energy": np.array([float(total.value)])})
    file = orm.SinglefileData(io.BytesIO(b"lattice constant 5.4 A\n"), filename="report.txt")
    return {
        "arrays": arrays,
        "file": file,
        "summary": orm.Dict({"atoms": len(structure.sites), "note": "fine"}),
    }


@calcfunction
def note(extra):
    return orm.Int(len(extra.get_dict()))


class StepWorkChain(WorkChain):
    """One stage: a job and two functions."""

    @classmethod
    def define(cls, spec):
        super().define(spec)
        spec.input("code", valid_type=orm.AbstractCode)
        spec.input("x", valid_type=orm.Int)
        spec.input("parameters", valid_type=orm.Dict)
        spec.input("fail", valid_type=orm.Bool, default=lambda: orm.Bool(False))
        spec.output_namespace("results", dynamic=True)
        spec.outline(cls.compute, cls.finish)
        spec.exit_code(400, "ERROR_PLANNED", message="the step failed as planned")

    def compute(self):
        resources = {"resources": {"num_machines": 1, "num_mpiprocs_per_machine": 1}}
        job = self.submit(
            Add, code=self.inputs.code, x=self.inputs.x, y=orm.Int(2), metadata={"options": resources}
        )
        return ToContext(job=job)

    def finish(self):
        if self.inputs.fail.value:
            return self.exit_codes.ERROR_PLANNED
        structure = make_structure(orm.Float(5.4))
        found = measure(structure, self.ctx.job.outputs.sum)
        self.out("results", {"structure": structure, **found})
        return None


class LadderWorkChain(WorkChain):
    """Two stages, the second of which uses what the first made."""

    @classmethod
    def define(cls, spec):
        super().define(spec)
        spec.input("study", valid_type=orm.Dict)
        spec.input("code", valid_type=orm.AbstractCode)
        spec.input("extra", valid_type=orm.Dict)
        spec.input("fail", valid_type=orm.Bool, default=lambda: orm.Bool(False))
        spec.output("structure", valid_type=orm.StructureData)
        spec.output("arrays", valid_type=orm.ArrayData)
        spec.output("file", valid_type=orm.SinglefileData)
        spec.outline(cls.reference, cls.elasticity, cls.collect_results)
        spec.exit_code(401, "ERROR_STAGE", message="stage 'elasticity' failed")

    def _step(self, name, x, **more):
        inputs = {"code": self.inputs.code, "x": x, "parameters": self.inputs.extra, **more}
        return self.submit(StepWorkChain, metadata={"call_link_label": name}, **inputs)

    def reference(self):
        return ToContext(reference=self._step("reference", orm.Int(1)))

    def elasticity(self):
        total = self.ctx.reference.called[0].outputs.sum
        return ToContext(elasticity=self._step("elasticity", total, fail=self.inputs.fail))

    def collect_results(self):
        if not self.ctx.elasticity.is_finished_ok:
            return self.exit_codes.ERROR_STAGE
        results = self.ctx.elasticity.outputs.results
        for name in ("structure", "arrays", "file"):
            self.out(name, results[name])
        return None


def _code(folder):
    try:
        return orm.load_code("bash")
    except NotExistent:
        computer = orm.Computer(
            "localhost", "localhost", "", "core.local", "core.direct", str(folder)
        ).store()
        computer.configure(safe_interval=0.0)
        computer.set_minimum_job_poll_interval(0.0)
        return orm.InstalledCode(
            label="bash",
            computer=computer,
            filepath_executable="/bin/bash",
            default_calc_job_plugin="core.arithmetic.add",
        ).store()


@pytest.fixture(scope="session")
def code(aiida_profile, tmp_path_factory):
    """bash on this machine, as the code of the jobs."""
    return _code(tmp_path_factory.mktemp("jobs"))


@pytest.fixture(scope="session")
def ladder(code):
    """Run the ladder; returns its node."""

    def run(fail=False):
        inputs = {
            "study": orm.Dict(STUDY),
            "code": code,
            "extra": orm.Dict({"cutoff": 20.0}),
            "fail": orm.Bool(fail),
        }
        return run_get_node(LadderWorkChain, **inputs)[1]

    return run


@pytest.fixture(scope="session")
def done(ladder):
    """A ladder that finished."""
    node = ladder()
    assert node.is_finished_ok, node.exit_message
    return node


@pytest.fixture(scope="session")
def failed(ladder):
    """A ladder whose second stage failed."""
    return ladder(fail=True)


@pytest.fixture(scope="session")
def noted(aiida_profile):
    """Run a function on a mapping, which costs next to nothing; returns its node."""
    return lambda **content: run_get_node(note, extra=orm.Dict(content))[1]


@pytest.fixture
def add_inputs(code):
    """Inputs of a single job."""
    resources = {"resources": {"num_machines": 1, "num_mpiprocs_per_machine": 1}}
    return {"code": code, "x": orm.Int(3), "y": orm.Int(4), "metadata": {"options": resources}}
