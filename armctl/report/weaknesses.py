"""The report's blocks on what the models are not good at: generator audit and weaknesses."""

from html import escape
from typing import Any

from armctl.report.looks import looks
from armctl.report.tables import POSITION, ranked
from armctl.report.theme import number, table

GENERATOR = {
    "validity_before": "valid as proposed",
    "validity_after": "valid after guidance",
    "acceptance_rate": "accepted by the certificate",
}

STATISTICS = {
    "c2st": "C2ST accuracy (0.5 = not told apart)",
    "c2st_error": "C2ST standard error",
    "energy": "energy distance",
    "energy_p": "energy distance, p",
    "mmd": "MMD",
    "mmd_p": "MMD, p",
    "density": "density",
    "coverage": "coverage",
    "vendi": "Vendi score (diversity)",
    "nn_ratio": "nearest-neighbour ratio (copying below 1)",
    "z_u": "Z_U copying test",
    "speed_error": "requested − realised speed, mean",
    "speed_rank": "requested ~ realised speed, rank correlation",
    "seconds_per_certified": "CPU seconds per certified motion",
    "seconds_per_hard": "CPU seconds per certified motion of the hardest tenth",
}


def generator(summary: dict[str, Any]) -> str:
    """The generator's figures and, where present, its audit table; nothing if the run has none."""
    block = summary.get("generator") or {}
    shares = "".join(
        f"<dt>{text}</dt><dd>{100 * block[name]:.0f} %</dd>"
        for name, text in GENERATOR.items()
        if isinstance(block.get(name), int | float)
    )
    text = f"<dl>{shares}</dl>" if shares else ""
    audit = block.get("audit") or {}
    gap = audit.get("train_validation_gap")
    note = f"<p class=note>Train/validation gap of the model: {number(gap)}.</p>" if gap is not None else ""
    return text + (audit_table(audit["rows"]) + note if audit.get("rows") else "")


def audit_table(rows: dict[str, dict[str, Any]]) -> str:
    """A table with one line per statistic and one column per audited set (model, held-out floor, ...)."""
    flat = {name: _flatten(row) for name, row in rows.items()}
    statistics = list(dict.fromkeys(statistic for row in flat.values() for statistic in row))
    lines = [
        [escape(STATISTICS.get(key, key.replace("_", " "))), *(_cell(row.get(key)) for row in flat.values())]
        for key in statistics
    ]
    return table(["Audit", *(escape(name.replace("_", " ")) for name in flat)], lines)


def _flatten(row: dict[str, Any]) -> dict[str, Any]:
    """A row with its feasibility rates as entries of their own, behind the others."""
    rates = row.get("feasibility") or {}
    plain = {key: value for key, value in row.items() if key != "feasibility"}
    return plain | {f"feasible: {name}": rate for name, rate in rates.items()}


def _cell(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if not isinstance(value, float):
        return escape(str(value)) if value is not None else "–"
    return number(float(value))


def weaknesses(summary: dict[str, Any]) -> str:
    """Sentences on what the measurements do not show or show against the learned controller."""
    return "<ul>" + "".join(f"<li>{sentence}</li>" for sentence in [*_found(summary), *_always(summary)]) + "</ul>"


def _found(summary: dict[str, Any]) -> list[str]:
    blocks, chosen = summary["controllers"], summary["comparison"]["subject"]
    label = {name: escape(look.label) for name, look in looks(summary).items()}
    sentences = [escape(str(text)) for text in summary.get("weaknesses", [])]
    for field in ("suites", "scenarios"):
        better: dict[str, list[str]] = {}
        for value, cells in summary[field].items():
            first = min(cells, key=lambda name: cells[name][POSITION]["iqm"])
            if first != chosen:
                against = f"{number(cells[first][POSITION]['iqm'])} against {number(cells[chosen][POSITION]['iqm'])} mm"
                better.setdefault(first, []).append(f"<b>{escape(str(value))}</b> ({against})")
        sentences += [
            f"{label[first]} is more accurate than {label[chosen]} on {field} {', '.join(where)}."
            for first, where in better.items()
        ]
    failed = {name: len(block["failures"]) for name, block in blocks.items() if block["failures"]}
    sentences += [
        f"{label[name]} failed in {count} of {blocks[name]['episodes']} episodes; they count as 1000 mm and 180°."
        for name, count in failed.items()
    ]
    for metric, what in (("rms_jerk_rad_s3", "jerk"), ("effort_n2m2s", "effort"), ("action_us", "time per action")):
        rival = next((name for name in ranked(summary) if name != chosen), chosen)
        ratio = (blocks[chosen][metric]["iqm"] or 0) / (blocks[rival][metric]["iqm"] or 1e9)
        if ratio > 1.25:
            sentences.append(
                f"{label[chosen]} pays with {number(ratio, 2)} times the {what} of {label[rival]}, the most accurate "
                "other one."
            )
    return sentences


def _always(summary: dict[str, Any]) -> list[str]:
    count = next(iter(summary["controllers"].values()))["episodes"]
    return [
        "Everything here is simulated; no result has been confirmed on hardware.",
        f"The intervals describe {count} episodes of the listed suites and scenarios, with one training run per "
        "learned controller; they do not include the spread between training seeds.",
        "Every episode starts on the reference, or at home before a goal, with no knowledge of the scenario, so the "
        "first second contains the transient of every adaptive or integral controller; the figures after 1 s leave it "
        "out.",
        "Time per action is that of a batch of simultaneous episodes divided by its size, not the latency of a "
        "single arm; of controllers from outside it is that of one arm.",
    ]
