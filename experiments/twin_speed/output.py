"""The table and the figure of run.py."""

from pathlib import Path
from typing import Any


def print_table(rows: dict[str, Any], compiled: dict[str, Any], notes: dict[str, dict[str, str]]) -> None:
    """Millions per second and how many times longer than armctl in the same rounds, function by function."""
    for dtype, functions in rows.items():
        for name, by_batch in functions.items():
            print(f"\n{name}, {dtype} (millions per second; in brackets: times slower than armctl)")
            print(f"{'':32s}" + "".join(f"{f'batch {batch}':>20s}" for batch in by_batch))
            for label in dict.fromkeys(label for cells in by_batch.values() for label in cells):
                cells = (cells.get(label) for cells in by_batch.values())
                text = (f"{c['per_second'] / 1e6:10.4f} ({c['times_slower']:6.2f})" if c else "–" for c in cells)
                note = notes.get(label, {}).get(name)
                print(f"{label:32s}" + "".join(f"{t:>20s}" for t in text) + (f"   {note}" if note else ""))
    for peer, functions in compiled.items():
        print(f"\n{peer}: seconds until compiled, cold / from the persistent cache")
        for name, seconds in functions.items():
            run = f"   runs {seconds['run']:.3f} s" if "run" in seconds else ""
            print(f"{name:32s}{seconds['cold']:8.2f} /{seconds['warm']:6.2f}{run}")


def draw(rows: dict[str, Any], path: Path, robot: str) -> None:
    """Throughput over batch, one panel per function, single precision."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from armctl.plot_style import GRID, INK, MUTED, SERIES

    labels = list(dict.fromkeys(x for by_batch in rows.values() for cells in by_batch.values() for x in cells))
    colours = dict(zip(labels, SERIES, strict=False))
    figure, panels = plt.subplots(2, 3, figsize=(11, 6.6), sharex=True, layout="constrained")
    for axes, (name, by_batch) in zip(panels.flat, rows.items(), strict=True):
        for label in labels:
            points = [(batch, c[label]["per_second"]) for batch, c in by_batch.items() if label in c]
            ours = label.startswith("armctl")
            style = {"lw": 2.6, "ms": 6, "zorder": 3} if ours else {"lw": 1.4, "ms": 4}
            if points:
                axes.loglog(*zip(*points, strict=True), "o-", color=colours[label], label=label, **style)
        axes.set_title(name, loc="left", color=INK, fontsize=11, fontweight="bold")
        axes.grid(color=GRID, lw=0.8)
        axes.set_axisbelow(True)
        axes.tick_params(colors=MUTED, which="both", length=0)
        axes.spines[:].set_visible(False)
    for axes in panels[1]:
        axes.set_xlabel("batch", color=MUTED, fontsize=10)
    figure.supylabel("states per second", color=MUTED, fontsize=10)
    handles = {label: h for axes in panels.flat for h, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    figure.suptitle(f"{robot}, float32 (C and C++ peers: float64)", x=0.01, ha="left", color=INK, fontsize=12)
    figure.savefig(path, dpi=160)
