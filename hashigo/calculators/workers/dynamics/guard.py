"""Stops a trajectory that leaves the region in which its potential was trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ase import Atoms

from hashigo.calculators.workers.dynamics.driver import RanAway, Snapshot
from hashigo.calculators.workers.dynamics.settings import Trajectory
from hashigo.calculators.workers.extrapolation import Excess, TrainedRegion
from hashigo.calculators.workers.potential import Committee

#: Steps between two looks, number: a committee costs a few evaluations of its mean.
STEPS = 100


@dataclass(frozen=True)
class TrajectoryDeparture:
    """Where a trajectory left the region.

    Attributes:
        trajectory: which one.
        step: number of steps made; negative during the equilibration.
        sentence: in what it is outside.
        atoms: the configuration; lengths in Å.
    """

    trajectory: Trajectory
    step: int
    sentence: str
    atoms: Atoms


class Guard:
    """Looks at a trajectory now and then.

    Args:
        region: that the potential was trained in; None where it is not known, and nothing is judged.
        committee: the potential.
        trajectory: that is watched.
        atoms: gives the elements in their order; lengths in Å.
        every: number of steps between snapshots.

    Attributes:
        departure: where it left; None while it has not.
    """

    def __init__(
        self,
        region: TrainedRegion | None,
        committee: Committee,
        trajectory: Trajectory,
        atoms: Atoms,
        every: int,
    ) -> None:
        self.departure: TrajectoryDeparture | None = None
        self._region, self._committee, self._trajectory, self._atoms = region, committee, trajectory, atoms
        self._unseen: list[Snapshot] = []
        self._every = every * max(1, STEPS // every)

    def forget(self) -> None:
        """Begin anew, as a job does that goes on from here."""
        self._unseen = []

    def inside(self, snapshot: Snapshot) -> bool:
        """Whether a trajectory may go on; of a trajectory that leaves, the first snapshot outside is kept."""
        if self._region is None:
            return True
        self._unseen.append(snapshot)
        if snapshot.step % self._every:
            return True
        if self._judged([snapshot]):
            self._judged(self._unseen)
        self.forget()
        return self.departure is None

    def ran_away(self, error: RanAway) -> None:
        """Take a runaway as a departure, where there is a snapshot from before.

        Args:
            error: of the driver.

        Raises:
            RanAway: the same, where nothing is known of the region or no snapshot was taken.
        """
        if not self._unseen:
            raise error
        if not self._judged(self._unseen):
            last = self._unseen[-1]
            self.departure = TrajectoryDeparture(
                self._trajectory, last.step, error.message, last.atoms(self._atoms)
            )

    def _judged(self, snapshots: Sequence[Snapshot]) -> bool:
        """Whether one of them is outside; the first that is becomes the departure."""
        assert self._region is not None
        structures = [snapshot.atoms(self._atoms) for snapshot in snapshots]
        for excess in self._region.judge(self._committee, structures)[:1]:
            place = excess.index
            self.departure = TrajectoryDeparture(
                self._trajectory, snapshots[place].step, excess.sentence, structures[place]
            )
            return True
        return False


def excesses(departures: Sequence[TrajectoryDeparture]) -> list[Excess]:
    """Departures as the gate takes them, in their order."""
    return [Excess(index, departure.sentence) for index, departure in enumerate(departures)]


def unharmed(
    trajectories: Sequence[Trajectory], departures: Sequence[TrajectoryDeparture]
) -> list[Trajectory]:
    """Those of a temperature and volume at which none left: averages over the others alone would be biased.

    Args:
        trajectories: that were planned.
        departures: of some of them.
    """
    left = {(one.trajectory.temperature, one.trajectory.volume) for one in departures}
    return [t for t in trajectories if (t.temperature, t.volume) not in left]
