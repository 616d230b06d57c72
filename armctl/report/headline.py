"""The top of the report: what was run, and the result in four figures."""

from html import escape

from armctl.report.looks import looks
from armctl.report.tables import ORIENTATION, POSITION, Summary
from armctl.report.theme import number

NAMED = 6  # suites or scenarios; more are counted


def header(summary: Summary, title: str = "") -> str:
    """Title, which says the task where none is given, one-sentence description and tags."""
    config, blocks = summary["config"], summary["controllers"]
    count = next(iter(blocks.values()))["episodes"]
    robot = str(config.get("robot", "arm"))
    sets = [
        f"{field} {', '.join(summary[field])}" if len(summary[field]) <= NAMED else f"{len(summary[field])} {field}"
        for field in ("suites", "scenarios")
    ]
    facts = [f"robot {robot}", *sets, f"{count} paired episodes", f"seed {config.get('seed')}"]
    tags = "".join(f"<span>{escape(fact)}</span>" for fact in facts)
    task = "Reaching goals" if summary.get("reaching") else "Trajectory tracking"
    task += f" on the {robot.replace('_', ' ').capitalize()}"
    where = "the twin" if config.get("backend") == "twin" else "PyBullet"
    return (
        f"<h1>{escape(title or task)}</h1>"
        f'<p class="lead">{len(blocks)} controllers on the same seeded episodes in {where}. Every figure is an '
        f"interquartile mean over {count} episodes with its stratified-bootstrap 95&nbsp;% interval.</p>"
        f"<p>{escape(' '.join(summary.get('caveats', [])))}</p>"
        f'<div class="tags">{tags}</div>'
    )


def cards(summary: Summary) -> str:
    """The result in a few figures."""
    items = _reaching(summary) if summary.get("reaching") else _tracking(summary)
    cells = (f'<div class="card {kind}"><b>{value}</b><span>{text}</span></div>' for kind, value, text in items)
    return f'<div class="cards">{"".join(cells)}</div>'


def _reaching(summary: Summary) -> list[tuple[str, str, str]]:
    """Of every suite the share of goals that the subject reaches; what of them is worst on any plant."""
    name = summary["comparison"]["subject"]
    own = [cell for cell in summary["reaching"] if cell["controller"] == name]
    called = escape(looks(summary)[name].label)
    items: list[tuple[str, str, str]] = []
    for suite in dict.fromkeys(cell["suite"] for cell in own):
        cells = [cell for cell in own if cell["suite"] == suite]
        count = sum(cell["episodes"] for cell in cells)
        share = sum(cell["reached"] * cell["episodes"] for cell in cells) / count
        time, error = (max((cell[f]["iqm"] or 0.0) for cell in cells) for f in ("reach_time_s", "goal_error_mm"))
        text = (
            f"{called}: goals reached in {count} episodes of suite <i>{escape(suite)}</i>; on the plant where it is "
            f"worst after {number(time)}&nbsp;s, to {number(error)}&nbsp;mm"
        )
        items.append(("" if items else "main", f"{100 * share:.0f} <small>%</small>", text))
    violations, failed = (sum(cell[f] for cell in own) for f in ("joint_limit_violations", "failures"))
    text = f"{called}: control steps outside the joint limits; {failed} of {sum(c['episodes'] for c in own)} failed"
    return [*items, ("", str(violations), text)]


def _tracking(summary: Summary) -> list[tuple[str, str, str]]:
    name = summary["comparison"]["subject"]
    block = summary["controllers"][name]
    called = escape(looks(summary)[name].label)
    errors = [
        _error(block[POSITION], "mm", "position error", called),
        _error(block[ORIENTATION], "°", "orientation error", called),
    ]
    safe = (
        f"{called}: control steps outside the joint limits; "
        f"{len(block['failures'])} of {block['episodes']} episodes failed"
    )
    return [*_comparison(summary), *errors, ("", str(block["joint_limit_violations"]), safe)]


def _error(value: dict[str, float], unit: str, what: str, called: str) -> tuple[str, str, str]:
    interval = f"{number(value['low'])} to {number(value['high'])}"
    text = f"{called}: {what} (RMSE), 95&nbsp;% interval {interval}"
    return "", f"{number(value['iqm'])} <small>{unit}</small>", text


def _comparison(summary: Summary) -> list[tuple[str, str, str]]:
    rival = summary["comparison"]["best_classical"]
    against = summary["comparison"]["against"].get(rival)
    if not against:
        return []
    ratio, odds = against[POSITION]["times_smaller"]["iqm"], against[POSITION]["probability_of_improvement"]
    factor, word = (ratio, "smaller") if ratio >= 1 else (1 / ratio, "larger")
    called = escape(looks(summary)[rival].label)
    text = (
        f"{word} position error than the best classical controller ({called}), paired by episode; "
        f"more accurate in {100 * odds['probability']:.0f}&nbsp;% of them"
    )
    return [("main", f"{number(factor, 2)}×", text)]
