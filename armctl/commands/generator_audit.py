"""`armctl audit generator`: what a generator is worth, beside what else could have made its motions."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from armctl import store
from armctl.commands.console import compiling, show, stages
from armctl.commands.generator import corpus_of, trained_config
from armctl.commands.parsing import Flag, Folder, check_out, parse, part
from armctl.errors import UsageError
from armctl.motion.certificate import check_measured
from armctl.settings import check_finite
from armctl.urdf import load_chain

SMALLEST = 64


@dataclass(frozen=True)
class GeneratorAuditConfig:
    """What is audited, and how much of it."""

    generator: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FOLDER")] = Path("runs/panda-generator")
    """Run folder of `armctl train generator`."""
    count: int = 256
    """Motions of a row."""
    few: int = 500
    """Motions that a second flow is trained on, which has to be seen to over-fit."""
    control_dt: float = 0.01
    """Sampling period of the motions, s."""
    seed: int = 0
    """Seed of the rows, of the autoencoder and of the second flow."""

    def __post_init__(self) -> None:
        check_finite(self)
        for name, least in (("count", SMALLEST), ("few", SMALLEST)):
            if getattr(self, name) < least:
                raise UsageError(f"{name} is {getattr(self, name)}; the statistics need at least {least}.")
        if self.control_dt <= 0:
            raise UsageError(f"control_dt is {self.control_dt:g} s; it must be positive.")


@dataclass(frozen=True)
class GeneratorAuditArguments(GeneratorAuditConfig):
    """Audit a generator against its corpus and beside rivals; write audit.html and pictures."""

    out: Folder = None
    """Run folder to write; FOLDER-audit if absent."""
    overwrite: Flag = False
    """Replace an existing run; the old one is kept until the new one is complete."""
    resume: Flag = False
    """Continue an interrupted run with the same settings."""
    json: Flag = False
    """Print JSON instead of a table."""


def run(argv: Sequence[str], prog: str) -> int:
    """`armctl audit generator`; returns the exit status."""
    arguments = parse(GeneratorAuditArguments, argv, prog)
    config = part(arguments, GeneratorAuditConfig)
    folder = config.generator.resolve()
    out = arguments.out or folder.with_name(f"{folder.name}-audit")
    check_out(out, overwrite=arguments.overwrite, resume=arguments.resume)
    from armctl.generator import load_model
    from armctl.generator.audit import STAGES, audit_generator, table
    from armctl.report.generator_audit import draw, write_page

    model = load_model(config.generator)
    chain = load_chain(trained_config(config.generator).robot)
    check_measured(chain)
    store.create_run(out, config, overwrite=arguments.overwrite, resume=arguments.resume)
    known: dict[str, Any] = store.read_json(out / "rows.json") if (out / "rows.json").is_file() else {}

    def keep(name: str, row: dict[str, Any]) -> None:
        known[name] = row
        store.write_json(out / "rows.json", known)

    compiling(60, "flow and rivals")
    with stages(STAGES, "audit generator") as tell:
        block = audit_generator(
            model, corpus_of(config.generator), chain, count=config.count, few=config.few, dt=config.control_dt,
            seed=config.seed, known=dict(known), keep=keep, progress=tell,
        )  # fmt: skip
    about = {"robot": chain.name, "machine": store.machine(), "versions": store.versions()}
    summary = store.plain({**about, "config": asdict(config), "audit": block})
    store.write_json(out / "summary.json", summary)
    store.write_text(out / "audit.html", write_page(summary, draw(out, block)))
    store.finish_run(out)
    show({**summary, "page": str(out / "audit.html")}, f"{table(block)}\n\npage: {out / 'audit.html'}", arguments.json)
    return 0
