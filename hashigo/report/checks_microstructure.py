"""Checks of the mesoscale's microstructure, in words: whether grains are what was asked for."""

from __future__ import annotations

from collections.abc import Iterator

from hashigo.report.figures.source import Results


def microstructure(results: Results) -> Iterator[tuple[str, str, str]]:
    """Grains, their sizes, what was asked for beside what was reached, and the representative volume.

    Args:
        results: of a run.
    """
    yield from _representative(results)
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
    cosines = note.get("mean_square_cosines")
    if cosines:
        rows = "; ".join(
            f"{a} " + ", ".join(f"{value:.3f}" for value in row)
            for a, row in zip("xyz", cosines, strict=True)
        )
        yield "mesoscale", "mean cos² of sample axes with the crystal's x, y, z", rows
    reached = {"size_spread": note["diameter"]["log_normal"]["spread"]}
    reached.update({f"fraction of {name}": share for name, share in note["fraction"].items()})
    for name, asked in note["asked"].items():
        words = "spread of the logarithm of diameters" if name == "size_spread" else name
        yield "mesoscale", words, f"{reached[name]:.4g}, asked for {asked:.4g}"


def _representative(results: Results) -> Iterator[tuple[str, str, str]]:
    note = results.note("mesoscale", "representative")
    if not note:
        return
    study = note["study"]
    start = "" if note["converged"] else "not converged within its budget: "
    text = (
        f"{start}{note['grains']} grains, {note['realisations']} realisations, for {100 * note['tolerance']:g} % of "
        f"the {note['property']}; error {100 * note['error']:.2g} %"
    )
    if note["drift"] is not None:
        text += f", drift {100 * note['drift']:.2g} %"
    text += f"; samples of {study['grains']} grains need {study['realisations_needed']} realisations by their scatter"
    yield "mesoscale", "representative volume", text
