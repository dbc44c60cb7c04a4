"""Files of atomic configurations with energy, forces and stress: HDF5, written and read piece by piece.

Layout: `/frames` holds one row for each frame (cell, energy, stress, …), `/atoms` one row for each atom of all frames
(positions, forces, atomic numbers); a frame owns the rows start … start + count. Every dataset has `units`.

A file that grows (`FrameWriter`) has two datasets more. `/tail` repeats the layout without compression and holds the
last few frames, which are written in place: a compressed chunk that grows is written anew each time. `/committed`
tells how many frames of either part count; it is written after them.
"""

from hashigo.calculators.configuration import Frame, check_frame, frame_identity
from hashigo.calculators.frames_copying import copy_frames
from hashigo.calculators.frames_reading import iter_frames, read_frames, read_header, read_sizes
from hashigo.calculators.frames_writing import FrameWriter, write_frames

__all__ = [
    "Frame",
    "FrameWriter",
    "check_frame",
    "copy_frames",
    "frame_identity",
    "iter_frames",
    "read_frames",
    "read_header",
    "read_sizes",
    "write_frames",
]
