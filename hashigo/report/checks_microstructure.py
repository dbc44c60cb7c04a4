"""Checks of the mesoscale's microstructure, in words: whether grains are what was asked for."""

from __future__ import annotations

from collections.abc import Iterator

from hashigo.report.figures.source import Results


def microstructure(results: Results) -> Iterator[tuple[str, str, str]]:
    """Grains, their sizes, and what was asked for beside what was reached.

    Args:
        results: of a run.
    """
    note = results.note("mesoscale", "grains")
    if not note:
        return
    voxels, neighbours = note["voxels"], note["neighbours"]
    intercepts = [value for value in note["mean_intercept"].values() if value is not None]
    text = f"{note['grains']} grains in {note['realisations']} realisations, {voxels['mean']:.0f} voxels each (least "
    text += f"{voxels['smallest']}); {neighbours['mean']:.1f} neighbours"
    if intercepts:
        text += f"; mean linear intercept {sum(intercepts) / len(intercepts):.3f} of the diameter"
    yield "mesoscale", "grains", text
    reached = {"size_spread": note["diameter"]["log_normal"]["spread"]}
    reached.update({f"fraction of {name}": share for name, share in note["fraction"].items()})
    for name, asked in note["asked"].items():
        words = "spread of the logarithm of diameters" if name == "size_spread" else name
        yield "mesoscale", words, f"{reached[name]:.4g}, asked for {asked:.4g}"
