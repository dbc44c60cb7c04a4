"""Energies, forces and stresses of many frames by an in-process engine, shared among MPI ranks."""

from __future__ import annotations

from dataclasses import replace

from ase.calculators.calculator import CalculatorError, PropertyNotImplementedError

from hashigo.calculators.engines import Workspace, get_engine
from hashigo.calculators.frames import Frame, read_frames, read_header, write_frames
from hashigo.calculators.workers.job import Job
from hashigo.errors import WorkerError

TASK_VERSION = 1


def run(job: Job) -> None:
    """Compute every frame of the input `frames`.

    Parameters are `engine` (its name) and `settings` (complete). Rank r computes frames r, r + size, …

    Raises:
        WorkerError: names the frame that the engine could not compute.
    """
    engine = get_engine(job.parameters["engine"])
    if engine.calculator is None:
        raise WorkerError(f"engine '{engine.name}' does not run inside the batch")
    calculator = engine.calculator(job.parameters["settings"], Workspace())
    frames = read_frames(job.inputs["frames"])
    own = range(job.comm.rank, len(frames), job.comm.size)
    done: dict[int, Frame] = {}
    for count, index in enumerate(own, start=1):
        done[index] = evaluate(frames[index], calculator, engine.title, index)
        job.progress(count, len(own), "frames")
    parts = job.comm.gather(done, root=0)
    if job.is_root:
        merged = {index: frame for part in parts for index, frame in part.items()}
        write_frames(job.output, [merged[i] for i in range(len(frames))], read_header(job.inputs["frames"]))


def evaluate(frame: Frame, calculator: object, origin: str, index: int) -> Frame:
    """Fill in what an ASE calculator says of a frame.

    Args:
        frame: the configuration.
        calculator: ASE calculator; it is kept between frames.
        origin: what to note as the frame's origin.
        index: of the frame, for messages.

    Raises:
        WorkerError: when the calculator fails.
    """
    atoms = frame.atoms()
    atoms.calc = calculator
    try:
        stress = None if frame.kind == "atom" else atoms.get_stress()
        return replace(
            frame,
            energy=float(atoms.get_potential_energy()),
            forces=atoms.get_forces(),
            stress=stress,
            origin=origin,
            stored_identity=frame.identity,
        )
    except (CalculatorError, PropertyNotImplementedError, NotImplementedError, KeyError) as error:
        raise WorkerError(f"{origin} could not compute frame {index}: {error!r}") from error
