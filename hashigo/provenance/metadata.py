"""What a study says about itself: title, people, licence, and who may see what."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hashigo.errors import InputError

ACCESS = ("open", "restricted", "closed")
ORCID = re.compile(r"(\d{4}-\d{4}-\d{4}-\d{3}[\dX])$")
ROR = re.compile(r"https://ror\.org/[0-9a-z]{9}")
SPDX = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]*")


@dataclass(frozen=True)
class Organisation:
    """An organisation; `ror` is its address at ror.org, empty when not given."""

    name: str
    ror: str = ""
    url: str = ""


@dataclass(frozen=True)
class Author:
    """A person; `orcid` is the address at orcid.org, empty when not given."""

    name: str
    orcid: str = ""
    affiliation: Organisation | None = None
    email: str = ""


@dataclass(frozen=True)
class Metadata:
    """What a package says about itself.

    Attributes:
        licence: address of the licence's text.
        licence_id: SPDX identifier; empty when the study gives an address.
        access: open, restricted or closed, by stage.
        default_access: access of stages that `access` does not name.
    """

    title: str
    description: str
    authors: tuple[Author, ...]
    licence: str
    licence_id: str
    access: Mapping[str, str]
    default_access: str = "open"

    @property
    def contacts(self) -> tuple[str, ...]:
        """E-mail addresses that the study itself makes public."""
        return tuple(author.email for author in self.authors if author.email)


def read_metadata(study: Mapping[str, Any], *, title: str) -> Metadata:
    """Check what a study says about itself.

    Args:
        study: the study's content.
        title: used when the study has none.

    Raises:
        InputError: when there is no licence, or an entry cannot be understood.
    """
    licence, licence_id = _licence(study.get("licence") or study.get("license"))
    access, default = _access(study.get("access") or {})
    name = str(study.get("title") or title)
    return Metadata(
        title=name,
        description=str(study.get("description") or f"{name}: results with their provenance"),
        authors=tuple(_author(entry, index) for index, entry in enumerate(study.get("authors") or [])),
        licence=licence,
        licence_id=licence_id,
        access=access,
        default_access=default,
    )


def _licence(value: Any) -> tuple[str, str]:
    if not value:
        raise InputError(
            "the study names no licence, so nobody could use the package",
            fix="set licence: in the study, as an SPDX identifier such as CC-BY-4.0",
        )
    text = str(value).strip()
    if text.startswith(("https://", "http://")):
        return text, ""
    if not SPDX.fullmatch(text):
        raise InputError(
            f"licence: '{text}' is neither an SPDX identifier nor a web address",
            fix="set licence: in the study to an identifier of spdx.org/licenses, such as CC-BY-4.0",
        )
    return f"https://spdx.org/licenses/{text}", text


def _access(value: Any) -> tuple[dict[str, str], str]:
    entries = {"": value} if isinstance(value, str) else dict(value)
    for stage, access in entries.items():
        if access not in ACCESS:
            where = f"access.{stage}" if stage else "access"
            raise InputError(
                f"{where}: '{access}' is not one of {', '.join(ACCESS)}", fix=f"correct {where} in the study"
            )
    return {str(stage): str(access) for stage, access in entries.items() if stage}, str(
        entries.get("", "open")
    )


def _author(entry: Any, index: int) -> Author:
    fields = {"name": entry} if isinstance(entry, str) else dict(entry)
    name = str(fields.get("name") or "").strip()
    if not name:
        raise InputError(f"authors[{index}] has no name", fix=f"set authors[{index}].name in the study")
    orcid = str(fields.get("orcid") or "").strip()
    if orcid and not ORCID.search(orcid):
        raise InputError(
            f"authors[{index}].orcid: '{orcid}' is not an ORCID",
            fix="write it as 0000-0002-1825-0097, or leave it out",
        )
    match = ORCID.search(orcid)
    return Author(
        name=name,
        orcid=f"https://orcid.org/{match.group(1)}" if match else "",
        affiliation=_organisation(fields.get("affiliation")),
        email=str(fields.get("email") or ""),
    )


def _organisation(value: Any) -> Organisation | None:
    """An affiliation is a text, which may hold an address at ror.org, or a mapping with name, ror, url."""
    if not value:
        return None
    if isinstance(value, Mapping):
        ror = ROR.search(str(value.get("ror") or ""))
        address = ror.group(0) if ror else ""
        return Organisation(str(value.get("name") or address), address, str(value.get("url") or address))
    text = str(value)
    ror = ROR.search(text)
    address = ror.group(0) if ror else ""
    name = text.replace(address, "").strip(" ,;()") if address else text.strip()
    return Organisation(name or address, address, address)
