"""The learning curve of a policy: what it achieves in PyBullet against environment steps and against time."""

import io

from armctl.plot_style import SERIES, figure_style


def curve_picture(rows: list[dict[str, float]], title: str) -> bytes:
    """A PNG of the rows of metrics.csv: error and success against steps, and against the seconds of training."""
    import matplotlib.pyplot as plt

    axes_of = (("steps", "environment steps"), ("seconds", "training, s"))
    with figure_style():
        figure, axes = plt.subplots(2, 2, figsize=(8, 4.6), sharex="col", sharey="row", layout="constrained")
        for column, (name, said) in enumerate(axes_of):
            x = [row[name] for row in rows]
            axes[0, column].plot(x, [row["position_error_mm"] for row in rows], color=SERIES[0], marker=".")
            axes[1, column].plot(x, [100 * row["success"] for row in rows], color=SERIES[0], marker=".")
            axes[1, column].set(xlabel=said, ylim=(-3, 103))
            axes[0, column].set_yscale("log")
        axes[0, 0].set(ylabel="position error, mm", title=title)
        axes[1, 0].set(ylabel="success, %")
        data = io.BytesIO()
        figure.savefig(data, format="png", dpi=160, facecolor="white")
        plt.close(figure)
    return data.getvalue()
