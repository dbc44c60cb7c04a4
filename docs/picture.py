"""Draw docs/silicon.png from the latest run: `AIIDA_PATH=… python docs/picture.py`."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from hashigo.report.figures import PLANNED, Results
from hashigo.workflows import profile

NAMES = ("bands", "kappa-temperature", "kappa-grain-size")
HEIGHT = 460


def picture(figure: Figure) -> Image.Image:
    """A figure as pixels of one height."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=200, facecolor="white", bbox_inches="tight")
    image = Image.open(stream).convert("RGB")
    return image.resize((round(image.width * HEIGHT / image.height), HEIGHT))


def main() -> None:
    profile.load(create=False)
    from hashigo.workflows.engine import find_run
    from hashigo.workflows.results import stage_results

    results = Results({name: node.reader() for name, node in stage_results(find_run()).items()})
    drawn = {plan.name: plan.draw for plan in PLANNED}
    images = [picture(drawn[name](results)) for name in NAMES]
    Image.fromarray(np.hstack([np.asarray(image) for image in images])).save(
        Path(__file__).with_name("silicon.png"), optimize=True
    )


if __name__ == "__main__":
    main()
