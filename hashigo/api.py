"""What `hashigo` does, from Python: run a study, get its results."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hashigo.study import Study, load_study

if TYPE_CHECKING:
    from hashigo.workflows.results import ResultRow


@dataclass(frozen=True)
class Run:
    """One run of a study.

    Attributes:
        node: its root WorkChainNode in AiiDA.
    """

    node: Any

    @property
    def id(self) -> int:
        """Number by which the commands know it."""
        return int(self.node.pk)

    @property
    def succeeded(self) -> bool:
        """Whether every stage was finished and every gate held."""
        return bool(self.node.is_finished_ok)

    @property
    def message(self) -> str:
        """Why it did not succeed; empty when it did."""
        return str(self.node.exit_message or "")

    def results(self) -> list[ResultRow]:
        """Every quantity that was computed, also of a run that failed."""
        from hashigo.workflows.results import result_rows

        return result_rows(self.node)

    def report(self, path: str | Path) -> Path:
        """Write the single-file HTML report.

        Args:
            path: file to write.
        """
        from hashigo.report.page import write_report

        return write_report(self.node, Path(path))


def run(study: Study | str | Path, **watchers: Any) -> Run:
    """Run a study to its end in this process; finished calculations are taken from the cache.

    Args:
        study: a study, or the path of a study file.
        watchers: `watch` and `started`, see `hashigo.workflows.engine.run_chain`.

    Raises:
        InputError: before anything is started, when the study or a file it names is wrong.
        Stopped: when a signal stopped it.
    """
    from hashigo.workflows.inputs import prepare

    prepared = prepare(study if isinstance(study, Study) else load_study(study))
    from hashigo.workflows import profile

    profile.load()
    from hashigo.workflows.engine import run_chain

    return Run(run_chain(prepared, **watchers))
