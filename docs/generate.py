"""Write the reference pages that are made from the code: `python docs/generate.py`; a test keeps them current."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_origin

from pydantic import BaseModel

from hashigo.quantities import vocabulary
from hashigo.study import Study
from hashigo.study.component import Face, GivenMaterial, Region
from hashigo.study.template import _plain

HERE = Path(__file__).parent


def study_page() -> str:
    """Every field of the study file."""
    lines = [
        "# The study file",
        "",
        "Made from the code by `docs/generate.py`. A length without unit is in Å, a grain size in nm, a temperature",
        "in K; any unit of the same dimension may be written, as in `cutoff: 0.5 nm`. `hashigo schema` prints the JSON",
        "schema",
        "(also in [study.schema.json](study.schema.json)), with which editors check and complete a study.",
    ]
    sections = [("", Study)] + [
        (name, model) for name, field in Study.model_fields.items() for model in _models(field.annotation)
    ]
    sampling = (
        sections[[name for name, _ in sections].index("reference")][1].model_fields["sampling"].annotation
    )
    sections.append(("reference.sampling", sampling))
    sections += [
        ("component.faces", Face),
        ("component.regions", Region),
        ("component.material", GivenMaterial),
    ]
    potential = sections[[name for name, _ in sections].index("potential")][1]
    sections += [
        ("potential.search", model) for model in _models(potential.model_fields["search"].annotation)
    ]
    mesoscale = sections[[name for name, _ in sections].index("mesoscale")][1]
    for key, field in mesoscale.model_fields.items():
        by_name = ".NAME" if get_origin(field.annotation) is dict else ""
        sections += [(f"mesoscale.{key}{by_name}", model) for model in _models(field.annotation)]
    for name, model in sections:
        lines += ["", f"## `{name}`" if name else "## Top level", "", model.__doc__.splitlines()[0], ""]
        lines += ["| key | default | meaning |", "|---|---|---|"]
        for key, field in model.model_fields.items():
            lines.append(f"| `{key}` | {_default(field)} | {field.description} |")
    return "\n".join(lines) + "\n"


def _models(annotation) -> list[type[BaseModel]]:
    """The section that a field holds, also an optional one."""
    kinds = getattr(annotation, "__args__", None) or (annotation,)
    return [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]


def _default(field) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return "see below"
    return "none" if value is None or value in ("", {}, ()) else f"`{_plain(value)}`"


def quantities_page() -> str:
    """The vocabulary."""
    lines = [
        "# Quantities",
        "",
        "Made from `hashigo/quantities.yaml` by `docs/generate.py`: everything that is handed from scale to scale.",
        "",
        "| name | symbol | unit | shape | meaning | source |",
        "|---|---|---|---|---|---|",
    ]
    for q in vocabulary().values():
        shape = " × ".join(map(str, q.shape)) or "scalar"
        note = f"{q.description} {q.convention + '.' if q.convention else ''}".strip()
        lines.append(f"| `{q.name}` | {q.symbol} | {q.unit} | {shape} | {note} | {q.source} |")
    return "\n".join(lines) + "\n"


def exit_codes_page() -> str:
    """Exit codes of the processes and of the command line."""
    from aiida.plugins import CalculationFactory, WorkflowFactory

    processes = {
        "hashigo.worker": CalculationFactory("hashigo.worker"),
        **{
            name: WorkflowFactory(name)
            for name in (
                "hashigo.reference",
                "hashigo.pw_frame",
                "hashigo.elasticity",
                "hashigo.multiscale",
                "hashigo.converge",
            )
        },
    }
    lines = [
        "# Exit codes",
        "",
        "Made from the code by `docs/generate.py`. The command line ends with 0 when all is well, 2 when something the",
        "user gave is wrong or missing, 3 when a stage failed, a gate did not hold or `hashigo converge` found no",
        "values that are enough, 130 when a signal stopped it.",
        "All stages of one worker job (`hashigo.potential` to `hashigo.mesoscale`) have the codes of",
        "`hashigo.elasticity`.",
    ]
    for name, process in processes.items():
        lines += ["", f"## `{name}`", "", "| status | label | message |", "|---|---|---|"]
        for label, code in sorted(process.spec().exit_codes.items(), key=lambda item: item[1].status):
            if code.status >= 300:
                lines.append(f"| {code.status} | `{label}` | {code.message} |")
    return "\n".join(lines) + "\n"


def engines_page() -> str:
    """Every engine with its settings."""
    from hashigo.calculators.engines import engine_names, get_engine

    lines = [
        "# Engines",
        "",
        "Made from the code by `docs/generate.py`. `hashigo engines` tells which are installed, and how to get others.",
        "Numbers of an engine that is not first-principles are marked so in tables, pages and packages.",
        "",
        "| engine | what | first-principles | needs |",
        "|---|---|---|---|",
    ]
    engines = [get_engine(name) for name in engine_names()]
    for engine in engines:
        truth = "yes" if engine.first_principles else "no"
        lines.append(
            f"| [`{engine.name}`](#{engine.name}) | {engine.title} | {truth} | {engine.how_to_get()} |"
        )
    for engine in engines:
        lines += ["", f"## {engine.name}", ""]
        if not engine.settings:
            lines.append("No settings.")
            continue
        lines += ["| setting | default | unit | meaning |", "|---|---|---|---|"]
        for name, setting in engine.settings.items():
            default = json.dumps(setting.default, ensure_ascii=False)
            lines.append(f"| `{name}` | `{default}` | {setting.unit} | {setting.description} |")
    return "\n".join(lines) + "\n"


def models_page() -> str:
    """Every kind of potential with its settings."""
    from hashigo.calculators.workers.models import get_kind, kind_names

    lines = [
        "# Potentials",
        "",
        "Made from the code by `docs/generate.py`. `potential.model` in a study is one of these names,",
        "`potential.settings` holds its settings. How to choose: [how-to.md](how-to.md#choose-a-potential).",
        "",
        "| model | what | needs |",
        "|---|---|---|",
    ]
    kinds = [get_kind(name) for name in kind_names()]
    for kind in kinds:
        ways = [f"pip install 'aiida-hashigo[{kind.extra}]'"] if kind.extra else []
        lines.append(f"| [`{kind.name}`](#{kind.name}) | {kind.title} | {'; '.join([*ways, kind.obtain])} |")
    for kind in kinds:
        lines += ["", f"## {kind.name}", ""]
        if not kind.settings:
            lines.append("Its settings are keys of the section itself: [study.md](study.md#potential).")
            continue
        lines += ["| setting | default | unit | meaning |", "|---|---|---|---|"]
        for name, setting in kind.settings.items():
            default = json.dumps(setting.default, ensure_ascii=False)
            lines.append(f"| `{name}` | `{default}` | {setting.unit} | {setting.description} |")
    return "\n".join(lines) + "\n"


def schema() -> str:
    """JSON schema of study files."""
    return json.dumps(Study.model_json_schema(), indent=1, ensure_ascii=False) + "\n"


PAGES = {
    "study.md": study_page,
    "quantities.md": quantities_page,
    "exit-codes.md": exit_codes_page,
    "engines.md": engines_page,
    "models.md": models_page,
    "study.schema.json": schema,
}

if __name__ == "__main__":
    for name, make in PAGES.items():
        (HERE / name).write_text(make(), encoding="utf-8")
