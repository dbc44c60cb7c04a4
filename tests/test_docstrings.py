"""Every public docstring tells shapes and units: an array has a shape, a number a unit."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from hashigo.quantities import vocabulary

PACKAGE = Path(__file__).resolve().parent.parent / "hashigo"

#: Words that tell the unit of a number, or that it has none.
UNITS = re.compile(
    r"(?i:dimensionless|number|count|index|indices|seed|share|relative|ratio|exit status|voxels?\b)|"
    r"eV|Å|nm|µm|THz|GPa|bytes|Pa\b|\bK\b|W/|J/|kg|mol|"
    r"μ_B|, e\.|\bJ\b|\bm\b|m\^|m/s|\b[fp]?s\b|°|second|unit|Ry|1/Å|"
    # A unit of one letter stands in most words; above it has its borders.
    + "|".join(re.escape(q.unit) for q in vocabulary().values() if len(q.unit) > 1)
)
ARRAY = re.compile(r"\b(NDArray|ndarray|Floats|ArrayLike|Complex|Integers|Indices)\b")
NUMBER = re.compile(r"^(float|int|float \| None|int \| None)$")


def public_definitions() -> Iterator[tuple[Path, ast.AST, str]]:
    """Modules, and their public functions, classes and methods; functions inside functions are nobody's."""
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        yield path, tree, path.stem
        for node in _public(tree):
            yield path, node, node.name
            if isinstance(node, ast.ClassDef):
                for method in _public(node):
                    yield path, method, f"{node.name}.{method.name}"


def _public(parent: ast.AST) -> list[ast.AST]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return [node for node in parent.body if isinstance(node, kinds) and not node.name.startswith("_")]


def entries(docstring: str, section: str) -> dict[str, str]:
    """The lines of `Args:` or `Attributes:` by name, continuation lines joined."""
    found: dict[str, str] = {}
    inside, name = False, ""
    for line in docstring.splitlines():
        if re.fullmatch(r"\w[\w ]*:", line.strip()) and not line.startswith("        "):
            inside = line.strip() == f"{section}:"
            continue
        match = re.match(r"\s{4}(\w+): (.*)", line)
        if inside and match and not line.startswith("        "):
            name = match[1]
            found[name] = match[2]
        elif inside and name:
            found[name] += " " + line.strip()
    return found


def problems() -> list[str]:
    out = []
    for path, node, name in public_definitions():
        where = f"{path.relative_to(PACKAGE)}: {name}"
        docstring = ast.get_docstring(node) or ""
        if not docstring:
            out.append(f"{where}: no docstring")
            continue
        if isinstance(node, ast.FunctionDef):
            told = entries(docstring, "Args")
            for argument in [*node.args.args, *node.args.kwonlyargs]:
                told.setdefault(argument.arg, docstring if f"`{argument.arg}`" in docstring else "")
                out += _check(where, argument.arg, argument.annotation, told, "Args")
            out += _check(where, "returned", node.returns, {"returned": docstring}, "docstring")
        elif isinstance(node, ast.ClassDef):
            # A class of numbers alike may tell their unit once, in its first sentence.
            told = entries(docstring, "Attributes") or {"": docstring}
            for item in node.body:
                if (
                    isinstance(item, ast.AnnAssign)
                    and isinstance(item.target, ast.Name)
                    and not item.target.id.startswith("_")
                ):
                    out += _check(
                        where, item.target.id, item.annotation, told, "Attributes", described=item.value
                    )
    return out


def _check(where, name, annotation, told, section, described=None) -> list[str]:
    if annotation is None or name in ("self", "cls"):
        return []
    kind = ast.unparse(annotation)
    if isinstance(described, ast.Call) and "description" in {k.arg for k in described.keywords}:
        return []  # a pydantic field carries its own description
    text = told.get(name, told.get("", ""))
    if ARRAY.search(kind):
        if "shape" not in text.lower():
            return [f"{where}: array '{name}' has no shape in {section}"]
        if not UNITS.search(text):
            return [f"{where}: array '{name}' has no unit in {section}"]
    elif NUMBER.match(kind) and not UNITS.search(f"{name}: {text}"):
        return [f"{where}: number '{name}' has no unit in {section}"]
    return []


def test_every_public_docstring_tells_shapes_and_units():
    assert problems() == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('def f(a: NDArray) -> None:\n    """F.\n\n    Args:\n        a: values, eV.\n    """\n', "no shape"),
        ('def f(a: NDArray) -> None:\n    """F.\n\n    Args:\n        a: shape (3,).\n    """\n', "no unit"),
        ('def f(a: float) -> None:\n    """F."""\n', "number 'a' has no unit"),
    ],
)
def test_the_check_finds_what_is_missing(source, expected):
    node = ast.parse(source).body[0]
    told = entries(ast.get_docstring(node), "Args")
    found = _check("x", "a", node.args.args[0].annotation, told, "Args")
    assert len(found) == 1
    assert expected in found[0]
