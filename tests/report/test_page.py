"""The page: escaped, complete, self-contained, and opened by a real browser."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from types import SimpleNamespace

import h5py
import pytest
from ase.build import bulk

from hashigo.calculators.frames import read_frames, read_header
from hashigo.calculators.results import ResultReader, ResultWriter
from hashigo.calculators.workers.dynamics.h5md import CREATOR
from hashigo.calculators.workers.extrapolation import Excess, write_outside
from hashigo.errors import InputError
from hashigo.report.checks import Gate, checks, gates
from hashigo.report.content import (
    Cost,
    Person,
    ReferenceMethod,
    ReportContent,
    ResultSection,
    StageState,
)
from hashigo.report.figures import PLANNED, draw_all
from hashigo.report.page import (
    TO_LABEL,
    _write,
    render,
    short,
    symbol_html,
    unit_html,
    write_outputs,
    write_texts,
    write_trajectories,
)
from hashigo.workflows import results as run_results
from hashigo.workflows.results import clock, rows_of, table_lines

ATTACK = "<script>document.title='taken'</script>\"'><img src=x onerror=alert(1)>"
TITLES = {
    "potential": "Potential",
    "elasticity": "Relaxation and elasticity",
    "phonons": "Phonons",
    "conductivity": "Thermal conductivity",
    "dynamics": "Molecular dynamics",
    "mesoscale": "Mesoscale",
}


@pytest.fixture
def content(result_files, results):
    sections = []
    for number, (stage, path) in enumerate(result_files.items()):
        with ResultReader(path) as reader:
            lines = table_lines(rows_of(reader, stage, f"{number}0000000-1111-2222-3333-444444444444"))
        sections.append(ResultSection(TITLES.get(stage, stage), tuple(lines)))
    return ReportContent(
        title="Silicon",
        state="finished",
        sentence="Finished: every gate held.",
        identifier="88",
        uuid="f21aa46e-a865-4c0b-936f-c7092d4fcaa5",
        date="2026-11-23 22:04 UTC",
        authors=(
            Person("Josiah Carberry", "0000-0002-1825-0097", "Brown University"),
            Person("Ada Lovelace"),
        ),
        licence="CC-BY-4.0",
        versions={"hashigo": "0.1.0"},
        reference=ReferenceMethod("Quantum ESPRESSO", "cutoff 40 Ry", 29, True),
        sections=sections,
        gates=gates(results, TITLES),
        checks=checks(results, TITLES),
        figures=draw_all(results),
        stages=[StageState("Phonons", "finished", 3725.0, 1, 0, 0.0065)],
        cost=Cost(0.042, "cores × wall time reported by the programs", 3, 2),
        graph="<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 20 10' width='20' height='10'></svg>",
        graph_caption="Boxes are jobs.",
    )


def words(page):
    """What a reader sees of a page, without its figures."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<style>.*?</style>|<[^>]+>", "", page, flags=re.S)))


def test_the_page_says_who_what_and_how_sure(content):
    page = render(content)
    seen = words(page)
    for part in (
        "Silicon", "Josiah Carberry (Brown University) 0000-0002-1825-0097; Ada Lovelace", "licence CC-BY-4.0",
        "Reference: Quantum ESPRESSO, 29 frames; cutoff 40 Ry.", "142.0 ± 1.0", "mesh 22, model 2.2",
        "relative to the reference method", "0.042 core-hours", "1:02:05", "00000000", "Boxes are jobs.",
    ):  # fmt: skip
        assert part in seen
    assert 'href="https://orcid.org/0000-0002-1825-0097"' in page
    assert "not first-principles" not in page
    assert page.count("<figure ") == len(content.figures) == len(PLANNED)


def test_marks_stand_beside_their_numbers(content):
    rows = re.findall(r"<tr><td class=\"quantity\">.*?</tr>", render(content), flags=re.S)
    kappa = [row for row in rows if "thermal conductivity" in row]
    assert len(kappa) == 3
    assert all('<span class="mark">not converged</span>' in row for row in kappa)
    stiffness = [row for row in rows if ">stiffness<" in row]
    assert len(stiffness) == 3
    assert all("spread uncalibrated" in row for row in stiffness)
    assert not any("uncalibrated" in row for row in rows if "force error" in row)


def test_an_uncertainty_part_that_changes_no_digit_is_left_out(content):
    row = next(line for line in render(content).splitlines() if "effective bulk modulus" in line)
    following = render(content).split(row)[1][:400]
    assert "model" in following
    assert "sampling" not in following


@pytest.mark.parametrize(
    ("truth", "label"), [(False, "not first-principles"), (None, "reference method not stated")]
)
def test_a_reference_that_is_not_first_principles_is_labelled_beside_title_and_numbers(content, truth, label):
    page = render(replace(content, reference=ReferenceMethod("Tersoff", first_principles=truth)))
    mark = f'<span class="mark">{label}</span>'
    assert re.search(rf"<h1>Silicon {mark}</h1>", page)
    assert page.count(mark) == 3 + len(content.sections)


def test_a_gate_that_did_not_hold_is_shown(content):
    broken = replace(content, state="gate", sentence="Stopped at a gate: unstable.")
    seen = words(render(broken))
    assert "Stopped at a gate: unstable." in seen
    assert re.search(r"no imaginary phonon at a commensurate wave vector\s*Phonons\s*✗ not held", seen)


def test_text_of_users_is_escaped_everywhere(content):
    hostile = replace(
        content,
        title=ATTACK,
        sentence=ATTACK,
        licence=ATTACK,
        authors=(Person(ATTACK, ATTACK, ATTACK),),
        versions={ATTACK: ATTACK},
        reference=ReferenceMethod(ATTACK, ATTACK, 1, False),
        gates=[Gate(ATTACK, ATTACK, True, ATTACK)],
        sections=[ResultSection(ATTACK, (), ATTACK)],
        graph_caption=ATTACK,
    )
    page = render(hostile)
    assert "<script" not in page
    assert "<img src=x" not in page
    assert page.count("&lt;script&gt;") >= 12


def test_a_run_without_results_has_a_page():
    bare = ReportContent("Nothing yet", "failed", "Failed: no reason.", "1", "uuid", "today")
    page = render(bare)
    assert "Failed: no reason." in page
    assert "<table" not in page
    assert "<figure" not in page


def test_the_page_names_no_other_file(content):
    page = render(content)
    assert not re.findall(r"<(?:script|link|iframe|object|embed)\b", page)
    assert all(
        source.startswith("data:image/svg+xml;base64,") for source in re.findall(r'src="([^"]*)"', page)
    )
    assert "default-src 'none'" in page


def test_symbols_units_and_numbers():
    assert symbol_html("C_eff_11") == "<var>C</var><sub>eff, 11</sub>"
    assert symbol_html("<b>") == "<var>&lt;b&gt;</var>"
    assert unit_html("kg/m^3") == "kg/m<sup>3</sup>"
    assert (short(123.0), short(0.00123), short(0.0)) == ("120", "0.0012", "0")
    assert (clock(59.6), clock(3661.0)) == ("1:00", "1:01:01")


def test_writing_where_one_cannot_is_a_sentence_and_leaves_nothing(tmp_path):
    with pytest.raises(InputError, match="is a folder"):
        _write(tmp_path, b"page")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        _write(tmp_path / "file" / "report.html", b"page")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert _write(tmp_path / "new" / "report.html", b"page").read_bytes() == b"page"


def check_in(browser, path):
    """Open a page: nothing on the console, nothing asked for, every picture with a size."""
    browser.open(path)
    sizes = browser.script(
        "return Array.from(document.images).map(i => [i.complete, i.naturalWidth, i.naturalHeight,"
        " i.getBoundingClientRect().width, i.getBoundingClientRect().height]);"
    )
    assert browser.log("browser") == []
    asked = [url for url in browser.requested() if not url.startswith("data:")]
    assert asked == [path.as_uri()]
    for complete, *lengths in sizes:
        assert complete
        assert min(lengths) > 100
    return sizes


def test_chromium_opens_a_full_page(content, browser, tmp_path):
    page = tmp_path / "report.html"
    page.write_text(render(replace(content, title=ATTACK)), encoding="utf-8")
    assert len(check_in(browser, page)) == len(content.figures)
    assert browser.script("return document.title;") == ATTACK
    # Wide content scrolls in its own box; the page itself does not.
    assert browser.script("return document.documentElement.scrollWidth <= window.innerWidth;")


def test_chromium_opens_the_report_of_a_real_run(finished, browser):
    page = finished.workplace.folder / "study-results" / "report.html"
    drawn = re.findall(r'<figure id="figure-([^"]+)"', page.read_text(encoding="utf-8"))
    # The small study has one temperature only, and none of the stages that are optional.
    absent = {"learning", "search", "thermal-properties", "green-kubo", "equation-of-state", "arrangement"}
    absent |= {"thermal-expansion", "thermal-stiffness"}
    absent |= {"representative-volume", "stress-between-grains", "component-history", "component-slices"}
    assert drawn == [plan.name for plan in PLANNED if plan.name not in absent | {"velocity-spectrum"}]
    assert len(check_in(browser, page)) == len(drawn)
    text = browser.script("return document.body.innerText;")
    for part in (
        "Small silicon",
        "Josiah Carberry",
        "not first-principles",
        "not converged",
        "every gate held",
    ):
        assert part in text
    assert browser.script("return document.querySelector('.graph svg').getBoundingClientRect().height;") > 100


def test_each_trajectory_is_a_file_of_its_own_and_those_of_earlier_runs_go(result_files, tmp_path):
    with h5py.File(tmp_path / "trajectory-900K-1V-0.h5md", "w") as file:
        file.create_group("h5md/creator").attrs["name"] = CREATOR
    result = SimpleNamespace(reader=lambda: ResultReader(result_files["dynamics"]))
    write_trajectories([result], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["trajectory-300K-1V-0.h5md"]
    with h5py.File(tmp_path / "trajectory-300K-1V-0.h5md") as file:
        assert set(file) == {"h5md", "particles", "observables"}
    write_trajectories([], tmp_path)
    assert not list(tmp_path.iterdir())


def test_text_files_of_results_stand_beside_the_report(tmp_path):
    with ResultWriter(tmp_path / "p.h5", task="phonons", task_version=1) as writer:
        writer.text("displacements.cif", "data_Si\n_audit_creation_method 'Hashigo'\n")
    (tmp_path / "stable.cif").write_text("data_old\n_audit_creation_method 'Hashigo'\n")
    (tmp_path / "imaginary-mode.xyz").write_text("somebody else's")
    folder = tmp_path
    write_texts([SimpleNamespace(reader=lambda: ResultReader(tmp_path / "p.h5"))], folder)
    assert (folder / "displacements.cif").read_text().startswith("data_Si")
    # What an earlier run left goes, what is somebody else's stays.
    assert not (folder / "stable.cif").exists()
    assert (folder / "imaginary-mode.xyz").read_text() == "somebody else's"


def test_trajectories_of_other_programs_stay(tmp_path):
    (tmp_path / "trajectory-notes.h5md").write_text("no HDF5")
    for name, groups in (("lammps", "h5md/creator"), ("bare", "particles")):
        with h5py.File(tmp_path / f"trajectory-{name}.h5md", "w") as file:
            file.create_group(groups).attrs["name"] = name
    write_trajectories([], tmp_path)
    assert len(list(tmp_path.iterdir())) == 3


def test_frames_to_label_stand_beside_the_report_until_there_are_others(tmp_path, monkeypatch):
    monkeypatch.setattr(run_results, "results_content", lambda node: {})
    monkeypatch.setattr(run_results, "stage_results", lambda node: node.results)
    monkeypatch.setattr("hashigo.report.page.write_report", lambda node, path: path)
    with ResultWriter(tmp_path / "outside.h5", task="elasticity", task_version=1) as writer:
        write_outside(writer, [bulk("Si")], [Excess(0, "the cell is strained by 9 %")], "the relaxed cell")
    outside = SimpleNamespace(reader=lambda: ResultReader(tmp_path / "outside.h5"))
    for results in ({"elasticity": outside}, {}):
        write_outputs(SimpleNamespace(outputs={}, inputs={}, results=results), tmp_path)
        (frame,) = read_frames(tmp_path / TO_LABEL)
        assert (frame.symbols, frame.energy) == (("Si", "Si"), None)
        # Nobody has computed them yet: they say of no engine, and not that they are not first-principles.
        assert not {"engine", "first_principles"} & set(read_header(tmp_path / TO_LABEL))
