"""What the scientist asks for: the study file, structures, existing data."""

from __future__ import annotations

from hashigo.study.load import load_study, study_from
from hashigo.study.model import Study

__all__ = ["Study", "load_study", "study_from"]
