"""Universal potentials from checkpoints that the test makes: random weights, whose forces are slopes all the same."""

from __future__ import annotations

import numpy as np
import pytest

from hashigo.calculators.engines import get_engine

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def mace(path):
    import mace.calculators  # noqa: F401  (lets e3nn load its own tables)
    import torch
    from e3nn import o3
    from mace import modules

    block = modules.interaction_classes["RealAgnosticResidualInteractionBlock"]
    torch.set_default_dtype(torch.float64)
    model = modules.ScaleShiftMACE(
        r_max=4.0, num_bessel=4, num_polynomial_cutoff=3, max_ell=1, interaction_cls=block, interaction_cls_first=block,
        num_interactions=2, num_elements=1, hidden_irreps=o3.Irreps("4x0e + 4x1o"), MLP_irreps=o3.Irreps("4x0e"),
        atomic_energies=np.array([-1.0]), avg_num_neighbors=8, atomic_numbers=[14], correlation=2,
        gate=torch.nn.functional.silu, radial_MLP=[8], radial_type="bessel", atomic_inter_scale=1.0,
        atomic_inter_shift=0.0,
    )  # fmt: skip
    torch.save(model, path)


def mattersim(path):
    import torch
    from mattersim.forcefield.m3gnet.m3gnet import M3Gnet

    torch.set_default_dtype(torch.float32)
    size = {"num_blocks": 2, "units": 8, "max_l": 2, "max_n": 2, "cutoff": 5.0, "threebody_cutoff": 4.0}
    model = M3Gnet(device="cpu", **size)
    with torch.no_grad():
        for weights in model.parameters():
            weights.mul_(2)  # forces well above single precision
    names = {"model_name": "m3gnet", "model_args": size, "model": model.state_dict()}
    training = {
        "optimizer": {},
        "scheduler": {},
        "last_epoch": 0,
        "validation_metrics": {},
        "description": "",
    }
    torch.save({**names, **training}, path)


def orb(path):
    import torch
    from orb_models.forcefield.pretrained import orb_v3_conservative_architecture

    torch.save(orb_v3_conservative_architecture(device="cpu").state_dict(), path)


@pytest.mark.parametrize(("make", "module", "allowed"), [
    (mace, "mace", 1e-6), (mattersim, "mattersim", 2e-5), (orb, "orb_models", 2e-3),
])  # fmt: skip
def test_forces_and_stress_are_slopes_of_the_energy(
    make, module, allowed, heavy_module, tmp_path, crystal, slopes, make_calculator
):
    heavy_module(module)
    import torch

    torch.manual_seed(0)
    make(tmp_path / "random.pt")
    atoms = crystal("Si", 5.43, cubic=True)
    atoms.calc = make_calculator(make.__name__, checkpoint=str(tmp_path / "random.pt"))
    assert np.abs(atoms.get_forces()).max() > 5 * allowed
    slopes(atoms, allowed, allowed)
    assert get_engine(make.__name__).version(atoms.calc)
