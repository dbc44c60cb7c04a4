from __future__ import annotations

import pytest

from hashigo.provenance.graph import collect
from hashigo.provenance.tools import UNVERSIONED, slug, source_of, tools_of


@pytest.fixture(scope="module")
def tools(done):
    return {tool.label: tool for tool in tools_of(collect(done)).values()}


def test_a_program_is_named_without_its_path(tools):
    job = tools["ArithmeticAddCalculation"]
    assert job.name == "bash (ArithmeticAddCalculation)"
    assert "/" not in job.name + job.key
    assert job.version.startswith("not reported; ArithmeticAddCalculation 2.")
    assert job.url.startswith("http")


def test_tools_without_a_package_say_so(tools):
    assert tools["measure"].version == UNVERSIONED


def test_a_workflow_brings_its_source(tools):
    source = source_of(tools["LadderWorkChain"])
    assert "class LadderWorkChain(WorkChain)" in source


def test_one_tool_for_both_stages(done):
    found = tools_of(collect(done))
    assert len(found) == 9
    assert len({tool.key for tool in found.values()}) == 5


@pytest.mark.parametrize(
    ("text", "safe"), [("a b/c:d", "a-b-c-d"), ("../x", "x"), ("", "unnamed"), ("Å", "unnamed")]
)
def test_slugs_are_safe(text, safe):
    assert slug(text) == safe
