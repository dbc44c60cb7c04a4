"""Hashigo: from first-principles forces to the mesoscale, with provenance.

Importing the package is cheap: AiiDA and the numerical libraries are loaded by the parts that need them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hashigo.version import VERSION

__version__ = VERSION
__all__ = ["Study", "__version__", "load_potential", "load_study", "run"]

if TYPE_CHECKING:
    from hashigo.api import run
    from hashigo.calculators.published import load_potential
    from hashigo.study import Study, load_study


def __getattr__(name: str) -> Any:
    """Load the public names on first use, so that `import hashigo` stays fast."""
    if name == "run":
        from hashigo.api import run

        return run
    if name == "load_potential":
        from hashigo.calculators.published import load_potential

        return load_potential
    if name in ("Study", "load_study"):
        from hashigo import study

        return getattr(study, name)
    raise AttributeError(f"module 'hashigo' has no attribute {name!r}")
