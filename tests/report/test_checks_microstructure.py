"""What the report says of the mesoscale's grains."""

from __future__ import annotations

from hashigo.report.checks_microstructure import microstructure
from hashigo.report.figures import Results


def test_what_was_asked_for_stands_beside_what_was_reached(results):
    rows = {what: text for _, what, text in microstructure(results)}
    assert rows["grains"] == (
        "60 grains in 3 realisations, 600 voxels each (least 20); 13.5 neighbours; mean linear intercept 0.690 of "
        "the diameter"
    )
    assert rows["spread of the logarithm of diameters"] == "0.34, asked for 0.35"
    assert rows["mean cos² of sample axes with the crystal's x, y, z"].startswith(
        "x 0.500, 0.250, 0.250; y 0.500"
    )
    assert rows["fraction of pore"] == "0.101, asked for 0.1"
    assert rows["representative volume"] == (
        "not converged within its budget: 32 grains, 5 realisations, for 1 % of the stiffness; error 0.45 %, drift "
        "0.2 %; samples of 50 grains need 1 realisations by their scatter"
    )


def test_without_grains_there_is_nothing_to_say():
    assert list(microstructure(Results({}))) == []
