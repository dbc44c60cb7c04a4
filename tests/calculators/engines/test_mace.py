"""MACE from a checkpoint that the test itself makes: random weights, whose forces are slopes all the same."""

from __future__ import annotations

import numpy as np
import pytest

from hashigo.calculators.engines import get_engine

pytestmark = pytest.mark.slow


def make_checkpoint(path):
    import mace.calculators  # noqa: F401  (lets e3nn load its own tables)
    import torch
    from e3nn import o3
    from mace import modules

    block = modules.interaction_classes["RealAgnosticResidualInteractionBlock"]
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    model = modules.ScaleShiftMACE(
        r_max=4.0, num_bessel=4, num_polynomial_cutoff=3, max_ell=1, interaction_cls=block, interaction_cls_first=block,
        num_interactions=2, num_elements=1, hidden_irreps=o3.Irreps("4x0e + 4x1o"), MLP_irreps=o3.Irreps("4x0e"),
        atomic_energies=np.array([-1.0]), avg_num_neighbors=8, atomic_numbers=[14], correlation=2,
        gate=torch.nn.functional.silu, radial_MLP=[8], radial_type="bessel", atomic_inter_scale=1.0,
        atomic_inter_shift=0.0,
    )  # fmt: skip
    torch.save(model, path)


@pytest.mark.filterwarnings("ignore")
def test_forces_and_stress_are_slopes_of_the_energy(heavy_module, tmp_path, crystal, slopes, make_calculator):
    heavy_module("mace")
    make_checkpoint(tmp_path / "tiny.model")
    atoms = crystal("Si", 5.43, cubic=True)
    atoms.calc = make_calculator("mace", checkpoint=str(tmp_path / "tiny.model"))
    assert np.abs(atoms.get_forces()).max() > 1e-4
    slopes(atoms, 1e-6, 1e-6)
    assert get_engine("mace").version(atoms.calc).startswith("mace-torch ")
