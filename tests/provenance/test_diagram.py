from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from xml.etree import ElementTree

import pytest

from hashigo.provenance.diagram import ROWS, caption, provenance_svg
from hashigo.provenance.graph import collect
from hashigo.provenance.records import Data, Graph, Link, Process

START = datetime(2026, 1, 1, tzinfo=timezone.utc)
SVG = "{http://www.w3.org/2000/svg}"


class Ladder:
    """Records of a run like the real ones, without a database."""

    def __init__(self):
        self.processes, self.data, self.links, self.count = {}, {}, [], 0

    def process(self, name, label, kind, stage, caller, **facts):
        self.count += 1
        time = START + timedelta(minutes=self.count)
        uuid = f"p{self.count:03d}"
        self.processes[uuid] = Process(
            uuid, label, name, label, kind, stage, time, time, "finished", 0, caller=caller, **facts
        )
        return uuid

    def make(self, label, creator, class_name="SinglefileData"):
        self.count += 1
        uuid = f"d{self.count:03d}"
        stage = self.processes[creator].stage if creator else ""
        self.data[uuid] = Data(uuid, label, "core.singlefile", class_name, START, creator, stage)
        if creator:
            self.links.append(Link(creator, uuid, label, "output"))
        return uuid

    def use(self, process, *data):
        self.links += [Link(process, uuid, self.data[uuid].label, "input") for uuid in data]

    def graph(self):
        return Graph(next(iter(self.processes.values())), self.processes, self.data, tuple(self.links))


def silicon():
    run = Ladder()
    root = run.process("silicon", "MultiscaleWorkChain", "workflow", "", None)
    structure = run.make("structure", None)

    def stage(name):
        return run.process(name, f"{name.capitalize()}WorkChain", "workflow", name, root)

    top = stage("structure")
    standard = run.process("standardise", "standardise", "function", "structure", top)
    run.use(standard, structure)
    cell = run.make("structure", standard, "StructureData")
    top = stage("reference")
    merge = None
    outputs = []
    for number in range(12):
        base = run.process(f"frame_{number}", "PwBaseWorkChain", "workflow", "reference", top)
        job = run.process("iteration_01", "PwCalculation", "calculation", "reference", base)
        run.use(job, cell)
        outputs.append(run.make("output_trajectory", job, "TrajectoryData"))
    merge = run.process("merge", "merge", "function", "reference", top)
    run.use(merge, *outputs)
    frames = run.make("frames", merge, "FramesData")
    made = {}
    for name, needs in (
        ("potential", ["frames"]),
        ("elasticity", ["potential", "cell"]),
        ("phonons", ["potential", "frames", "elasticity"]),
        ("conductivity", ["potential", "elasticity"]),
        ("mesoscale", ["elasticity", "conductivity"]),
    ):
        made.update({"frames": frames, "cell": cell})
        worker = run.process("worker", "WorkerCalculation", "calculation", name, stage(name))
        run.use(worker, *(made[need] for need in needs))
        made[name] = run.make(name, worker, "QuantitiesData")
        run.links.append(Link(root, made[name], name, "return"))
    return run


def texts(svg):
    return [element.text for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_like_jobs_share_a_box():
    svg = provenance_svg(silicon().graph())
    assert "12 × iteration" in texts(svg)
    assert "12 × output_trajectory" in texts(svg)
    assert sum("PwCalculation" in text for text in texts(svg)) == 1


def test_each_stage_is_a_column():
    found = texts(provenance_svg(silicon().graph()))
    stages = ["structure", "reference", "potential", "elasticity", "phonons", "conductivity", "mesoscale"]
    assert found[: len(stages) + 1] == ["inputs", *stages]


def test_it_needs_nothing_from_outside_and_is_the_same_again():
    svg = provenance_svg(silicon().graph())
    assert svg == provenance_svg(silicon().graph())
    assert svg.startswith("<svg ")
    assert svg.count("http") == 1
    assert "<script" not in svg


def test_nothing_overlaps():
    root = ElementTree.fromstring(provenance_svg(silicon().graph()))
    places = [(e.get("x"), e.get("y")) for e in root.iter(f"{SVG}rect") if e.get("y") != "8"]
    assert len(places) == len(set(places))


def test_failure_and_cache_are_seen():
    run = silicon()
    uuid = next(p.uuid for p in run.processes.values() if p.stage == "phonons" and p.kind == "calculation")
    run.processes[uuid] = replace(run.processes[uuid], exit_status=300)
    other = next(p.uuid for p in run.processes.values() if p.stage == "potential" and p.kind == "calculation")
    run.processes[other] = replace(run.processes[other], cached_from="earlier")
    graph = run.graph()
    svg = provenance_svg(graph)
    assert "phonons (failed)" in texts(svg)
    assert svg.count("stroke-dasharray") == 1
    assert len(list(caption(graph))) == 3


def test_a_full_column_says_what_it_leaves_out():
    run = silicon()
    stage = next(p.uuid for p in run.processes.values() if p.label == "PotentialWorkChain")
    letters = "abcdefghijkl"
    for letter in letters:
        run.process(f"check {letter}", f"check_{letter}", "function", "potential", stage)
    assert f"… and {len(letters) + 2 - ROWS} more" in texts(provenance_svg(run.graph()))


def test_text_is_escaped():
    run = Ladder()
    run.process("<b>&", "Odd'WorkChain", "workflow", "", None)
    assert ElementTree.fromstring(provenance_svg(run.graph())) is not None


@pytest.mark.parametrize("name", ["done", "failed"])
def test_a_real_run(name, request):
    graph = collect(request.getfixturevalue(name))
    found = texts(provenance_svg(graph))
    assert found[:2] == ["inputs", "reference"] if "inputs" in found else found[0] == "reference"
    assert any(text.startswith("elasticity") for text in found)
