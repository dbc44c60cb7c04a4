"""What the scientist asks for: the study file, structures, existing data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = ["Study", "load_study", "study_from"]

if TYPE_CHECKING:
    from hashigo.study.load import load_study, study_from
    from hashigo.study.model import Study


def __getattr__(name: str) -> Any:
    """Load the public names on first use: workers read structures, and need none of what checks a study."""
    if name in __all__:
        from hashigo.study import load, model

        return getattr(model if name == "Study" else load, name)
    raise AttributeError(f"module 'hashigo.study' has no attribute {name!r}")
