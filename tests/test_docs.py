"""What the documents say is true: pages made from the code are current, examples are valid, links lead somewhere."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from hashigo.cli import COMMANDS, hashigo
from hashigo.study import load_study, study_from

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/**/*.md")])


def generator():
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "name", ["study.md", "quantities.md", "exit-codes.md", "engines.md", "models.md", "study.schema.json"]
)
def test_pages_made_from_the_code_are_current(name):
    made = generator().PAGES[name]()
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == made, "run python docs/generate.py"


def blocks(language):
    for page in PAGES:
        for found in re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.S):
            yield pytest.param(found, id=f"{page.name}-{hash(found) % 1000}")


@pytest.mark.parametrize("text", blocks("yaml"))
def test_studies_in_the_documents_are_valid(text):
    assert study_from(yaml.safe_load(text)).structure.file


@pytest.mark.parametrize("text", blocks("console"))
def test_commands_in_the_documents_exist(text):
    for line in re.findall(r"\$ hashigo ([^#\n]*)", text):
        words = line.split()
        assert words[0] in COMMANDS, line
        options = [word for word in words if word.startswith("-")]
        shown = CliRunner().invoke(hashigo, [words[0], "--help"]).output
        assert all(option in shown for option in options), line


@pytest.mark.parametrize("text", blocks("python"))
def test_python_in_the_documents_compiles(text):
    assert compile(text, "docs", "exec").co_names


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("path", sorted(ROOT.glob("examples/*/*.yaml")), ids=lambda p: p.name)
def test_examples_are_valid_studies(path):
    study = load_study(path)
    assert study.path(study.structure.file).is_file()
    assert study.licence


def test_the_four_folders_are_linked_at_the_top():
    for name in ("workflows", "calculators", "scheduler_profiles", "provenance"):
        assert (ROOT / name).is_symlink()
        assert (ROOT / name).resolve() == ROOT / "hashigo" / name
