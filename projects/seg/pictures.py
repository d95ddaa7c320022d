"""How well each class is found: intersections over unions as bars."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy import ndarray

from projects.common.pictures import class_color

BAR = 0.26  # inches


def draw_class_ious(
    ious: ndarray, names: Sequence[str], title: str, file: Path
) -> Path:
    """Draw a bar for each class, in its colour, and a line at their mean.

    Args:
        ious: in [0, 1]; nan for a class that neither truth nor prediction has, which
            gets no bar.
        names: one for each.
        title: of the picture.
        file: PNG to write.

    Shape:
        ``ious`` ``(C,)``.

    Returns:
        ``file``.
    """
    seen = np.flatnonzero(~np.isnan(ious))
    height = max(1.6, 1.0 + BAR * len(seen))
    figure = Figure(figsize=(6.4, height), dpi=120, layout='constrained')
    FigureCanvasAgg(figure)  # not pyplot, which keeps every figure in a global
    axis = figure.subplots()
    colors = [tuple(v / 255 for v in class_color(int(i))[::-1]) for i in seen]
    labels = [names[i] for i in seen]
    bars = axis.barh(range(len(seen)), ious[seen], color=colors)
    axis.bar_label(bars, [f'{value:.2f}' for value in ious[seen]], padding=3)
    axis.set_yticks(range(len(seen)), labels)
    axis.invert_yaxis()
    if len(seen):
        mean = float(ious[seen].mean())
        axis.axvline(mean, color='#303030', linewidth=1, linestyle='--')
        title = f'{title}: mean {mean:.3f}'
    axis.set(xlim=(0, 1.08), xlabel='intersection over union', title=title)
    figure.savefig(file)
    return file
