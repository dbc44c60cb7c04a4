"""Files that a study names for its mesoscale: read and checked before anything starts."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from hashigo.calculators.workers.homogenization.given import read_given
from hashigo.calculators.workers.homogenization.microstructure import voronoi_polycrystal
from hashigo.calculators.workers.homogenization.recipe import Recipe, grid_shape
from hashigo.calculators.workers.homogenization.representative import of_size
from hashigo.calculators.workers.job import SerialComm
from hashigo.errors import InputError
from hashigo.study import study_from
from hashigo.workflows.mesoscale import STAGE, MesoscaleWorkChain
from hashigo.workflows.sample import read_sample

VORONOI = voronoi_polycrystal(9, 12, 2)


HOW_TO = Path(__file__).resolve().parents[2] / "docs" / "how-to.md"


def examples():
    """Studies of the documentation that make a microstructure."""
    blocks = re.findall(r"```yaml\n(.*?)```", HOW_TO.read_text(encoding="utf-8"), flags=re.S)
    studies = [study_from(yaml.safe_load(block)) for block in blocks if "microstructure:" in block]
    return [study for study in studies if study.mesoscale.microstructure.kind != "file"]


@pytest.mark.parametrize("study", examples(), ids=lambda study: study.mesoscale.microstructure.kind)
def test_microstructures_of_the_documentation_are_made(study):
    recipe = Recipe.read(STAGE.parameters(study.model_dump(mode="json")))
    sample = recipe.make(0, slice(None), SerialComm())
    assert sample.grain_id.shape == recipe.shape
    asked = recipe.asked
    if "fraction of pore" in asked:
        assert sample.fractions[sample.material == 1].sum() == pytest.approx(0.1, rel=0.02)
    if study.mesoscale.texture.kind == "fibre":
        tilt = np.degrees(np.arccos(sample.rotations[:, 2].sum(axis=1) / np.sqrt(3)))
        assert np.sqrt(np.mean(tilt**2)) == pytest.approx(5 * np.sqrt(2), rel=0.25)


def read(folder, **mesoscale):
    study = study_from({"structure": "a", "reference": "b", "mesoscale": mesoscale})
    study._folder = folder
    content = study.model_dump(mode="json")
    path = read_sample(study, content, folder)
    return (None if path is None else read_given(path)), content


def test_grid_and_orientations_of_a_file(tmp_path):
    np.savez(tmp_path / "a.npz", grain_id=VORONOI.grain_id[:, :10], quaternions=VORONOI.quaternions)
    section = {"kind": "file", "file": "a.npz", "periodic": "assume"}
    given, content = read(tmp_path, microstructure=section)
    assert given.grid.shape == (12, 10, 12)
    assert given.grid.origin["file"] == "a.npz"
    assert np.allclose(given.grid.quaternions, VORONOI.quaternions)
    assert content["mesoscale"]["voxels"] == [12, 10, 12]
    assert content["mesoscale"]["grains"] == 9
    # Realisations would all be the same.
    assert content["mesoscale"]["realisations"] == 1
    parameters = STAGE.parameters(content)
    assert parameters["microstructure"]["kind"] == "file"
    assert "a.npz" not in str(parameters)
    assert MesoscaleWorkChain.most_ranks(parameters) == 10
    assert STAGE.needs(content) == "1 sample of 12×10×12 voxels"
    assert study_from(content).mesoscale.voxels == (12, 10, 12)


@pytest.mark.parametrize("voxels", [40, (1, 50, 60)])
def test_no_more_ranks_than_the_smallest_sample_of_the_search_has_planes(voxels):
    parameters = {"voxels": voxels, "grains": 50, "representative": {"fewest_grains": 8}}
    smallest = of_size(Recipe(grains=50, shape=grid_shape(voxels)), 8)
    assert MesoscaleWorkChain.most_ranks(parameters) == min(smallest.shape[:2])


def test_an_image_with_pores(tmp_path):
    levels = np.full((12, 12), 255, np.uint8)
    levels[3:6, 3:9] = 0
    Image.fromarray(levels).save(tmp_path / "a.png")
    section = {"kind": "file", "file": "a.png", "phases": {0: "pore", 255: "crystal"}}
    given, content = read(tmp_path, microstructure=section, materials={"pore": "void"})
    assert list(given.grid.material) == [1, 0]
    assert content["mesoscale"]["voxels"] == [12, 12, 1]
    assert content["mesoscale"]["realisations"] == 3
    with pytest.raises(InputError, match=r"grey level 255 of a.png has no material"):
        read(tmp_path, microstructure={**section, "phases": {0: "pore"}}, materials={"pore": "void"})


def test_a_list_for_a_texture(tmp_path):
    (tmp_path / "o.txt").write_text("phi1 Phi phi2 weight\n0 0 0 1\n10 20 30 2\n")
    given, content = read(tmp_path, texture={"kind": "odf", "file": "o.txt"})
    assert given.grid is None
    assert list(given.weights) == [1, 2]
    assert content["mesoscale"]["realisations"] == 3
    assert "o.txt" not in str(STAGE.parameters(content))
    (tmp_path / "o.txt").write_text("phi1 Phi phi2 grain\n0 0 0 1\n")
    with pytest.raises(InputError, match=r"o.txt lacks the orientation of some of its grains"):
        read(tmp_path, texture={"kind": "odf", "file": "o.txt"})


def test_a_list_must_be_long_enough_before_anything_starts(tmp_path):
    (tmp_path / "o.txt").write_text("phi1 Phi phi2\n0 0 0\n10 20 30\n")
    listed = {"kind": "list", "file": "o.txt"}
    with pytest.raises(InputError, match=r"o.txt has 2 orientations, fewer than the 50 grains"):
        read(tmp_path, texture=listed)
    layers = {"kind": "laminate", "layers": [["crystal", 0.3], ["pore", 0.2], ["crystal", 0.5]]}
    given, content = read(tmp_path, texture=listed, microstructure=layers, materials={"pore": "void"})
    assert len(given.quaternions) == 2
    assert content["mesoscale"]["realisations"] == 1
    np.save(tmp_path / "a.npy", VORONOI.grain_id)
    with pytest.raises(InputError, match="fewer than the 9 grains"):
        read(tmp_path, texture=listed, microstructure={"kind": "file", "file": "a.npy"})


def test_grains_with_orientations_are_not_given_others(tmp_path):
    np.savez(tmp_path / "a.npz", grain_id=VORONOI.grain_id, quaternions=VORONOI.quaternions)
    with pytest.raises(
        InputError, match=r"a.npz has orientations of its own, and mesoscale.texture gives others"
    ):
        read(tmp_path, texture={"kind": "fibre"}, microstructure={"kind": "file", "file": "a.npz"})


def test_a_study_without_files_needs_none(tmp_path):
    assert read(tmp_path)[0] is None


@pytest.mark.parametrize(
    ("mesoscale", "complaint"),
    [
        ({"microstructure": {"kind": "file"}}, "kind file needs the name of a 'file'"),
        ({"microstructure": {"file": "a.vti"}}, "'file' says nothing about kind voronoi"),
        ({"microstructure": {"kind": "file", "file": "a", "phases": {0: "pore"}}}, "names 'pore', which materials"),
        ({"texture": {"kind": "odf"}}, "texture 'odf' needs a 'file'"),
        ({"texture": {"file": "a"}}, "'file' is for list and odf"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(mesoscale, complaint):
    with pytest.raises(InputError, match=complaint):
        study_from({"structure": "a", "reference": "b", "mesoscale": mesoscale})
