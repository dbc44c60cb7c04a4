"""A site: where jobs run, as one YAML file without code."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hashigo.errors import InputError

SITES = Path(__file__).with_name("sites")


class Site(BaseModel):
    """One machine or centre, as jobs see it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = Field(1, description="Version of this file's schema.")
    id: str = Field(pattern=r"^[a-z][a-z0-9-]*$", description="Name used in studies; also the file's name.")
    title: str = Field(description="Name as printed.")
    transport: Literal["core.local"] = Field(
        "core.local", description="AiiDA transport that reaches the site."
    )
    scheduler: Literal["core.direct"] = Field(
        "core.direct", description="AiiDA scheduler plugin of the site."
    )
    cores: Annotated[int, Field(ge=1)] | Literal["auto"] = Field(
        "auto", description="Cores that jobs may use at once; auto: those this process may use."
    )
    max_in_flight: Annotated[int, Field(ge=1)] | Literal["auto"] = Field(
        "auto", description="Most jobs submitted at once; auto: one for each core."
    )
    walltime: Annotated[int, Field(ge=60)] | None = Field(
        None,
        description="Longest time of a job, s; none: no limit. A batch that needs longer goes on in another job.",
    )
    memory_mb: Annotated[int, Field(ge=100)] | None = Field(
        None, description="Memory asked for by each job, MB; none: what the scheduler gives by itself."
    )
    few_jobs: bool = Field(
        False, description="Whether frames that could be jobs of their own are packed into few jobs."
    )
    environment: dict[str, str] = Field(
        default_factory=dict, description="Environment variables set in every job, by name."
    )
    codes: dict[str, str] = Field(
        default_factory=dict,
        description="Executables by program name; a name without folder is looked for on PATH.",
    )

    def n_cores(self) -> int:
        """Number of cores that jobs may use at once."""
        return len(os.sched_getaffinity(0)) if self.cores == "auto" else self.cores

    def n_in_flight(self, asked: int | None = None, ranks: int = 1) -> int:
        """Most jobs submitted at once; what a study asks for can only lower it.

        Args:
            asked: count that the study asks for; None when it says nothing.
            ranks: of each job; where the cores of the site are the limit, they are shared.

        Returns:
            The count.
        """
        cores = self.n_cores()
        allowed = max(1, cores // ranks) if self.max_in_flight == "auto" else self.max_in_flight
        return allowed if asked is None else min(allowed, asked)


def site_names() -> list[str]:
    """Ids of the sites that come with the package."""
    return sorted(path.stem for path in SITES.glob("*.yaml"))


def load_site(name: str) -> Site:
    """Read a site by its id.

    Raises:
        InputError: when there is none, or its file is not valid.
    """
    path = SITES / f"{name}.yaml"
    if name not in site_names():
        raise InputError(f"site '{name}' is not known", fix=f"choose one of: {', '.join(site_names())}")
    try:
        return Site.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise InputError(f"site file {path.name}: {key}: {first['msg']}") from None
