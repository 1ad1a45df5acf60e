"""What ``-k``, ``--emission``, ``--covariance`` and ``--family`` ask for."""

from __future__ import annotations

from collections.abc import Mapping

from estep.cli.tables import Table
from estep.cli.text import say
from estep.emissions import FAMILIES, FactorAnalysis, Gaussian, LogNormal, Student
from estep.emissions.propose import proposed, said, with_families
from estep.fitting.subsample import held
from estep.interface import Emission

MOST_CANDIDATES = 1000


def family_of(kind: str, emission: str, covariance: str | None, factors: int) -> Emission | None:
    """The family; None for "auto", which depends on the data."""
    if kind not in ("mixture", "gmm", "hmm"):
        raise ValueError(f"{kind!r} is not a kind of model: it is mixture, gmm or hmm")
    if emission not in (*FAMILIES, "auto"):
        raise ValueError(f"--emission {emission!r} is unknown: it is one of {', '.join(FAMILIES)}, auto")
    if kind == "gmm" and emission != "gaussian":
        raise ValueError(f"gmm is a Gaussian mixture: write mixture --emission {emission}")
    if factors > 1 and emission != "factor_analysis":
        raise ValueError(f"--factors is for factor_analysis emissions, not {emission}")
    gaussian = Gaussian(covariance or ("diag" if kind == "hmm" else "full"))
    around: dict[str, Emission] = {
        "gaussian": gaussian,
        "student": Student(gaussian),
        "log_normal": LogNormal(gaussian),
    }
    if emission in around:
        return around[emission]
    if covariance is not None:
        raise ValueError(f"--covariance is for {', '.join(around)} emissions, not {emission}")
    if emission == "factor_analysis":
        return FactorAnalysis(factors)
    return None if emission == "auto" else FAMILIES[emission]()


def proposed_of(table: Table, chosen: Mapping[str, Emission]) -> Emission:
    """A family for each column of a table: those ``chosen``, and proposed ones, which are said."""
    family, left_out = proposed(held(table.source).X, table.source.columns, table.symbols)
    family = with_families(family, chosen, table.source.columns) if chosen else family
    if left_out := {column: why for column, why in left_out.items() if column not in chosen}:
        say(said(left_out))
    say(f"--emission auto takes a {family.preparation}")
    return family


def families_by_column(families: str | None) -> dict[str, Emission]:
    """``--family``: families by column."""
    chosen: dict[str, Emission] = {}
    for part in families.split(",") if families else ():
        column, equals, name = part.partition("=")
        if not equals or not column.strip():
            raise ValueError(f"--family {families!r}: it is COLUMN=FAMILY, separated by commas")
        if name.strip() not in FAMILIES:
            raise ValueError(f"--family: {name.strip()!r} is unknown: it is one of {', '.join(FAMILIES)}")
        family = FAMILIES[name.strip()]()
        chosen[column.strip()] = Gaussian("diag") if isinstance(family, Gaussian) else family
    return chosen


def components_of(text: str, n_rows: int) -> list[int]:
    """``-k``: "3", a range "1-8", or some "2,4,8"; as many as there are rows at most."""
    numbers: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise ValueError(f"-k {text!r}: it is a number (3), a range (1-8), or some of both (1-4,8)")
        if max(len(first), len(last)) > 18 or (most := max(int(first), int(last or 0))) > n_rows:
            wanted = max(first, last, key=lambda t: int(t or 0) if len(t) <= 18 else 10**18)
            raise ValueError(
                f"-k {text[:40]!r}: {wanted[:20]} components want at least as many rows; DATA has {n_rows}"
            )
        if most - int(first) >= MOST_CANDIDATES:
            raise ValueError(f"-k {text!r}: {MOST_CANDIDATES} numbers of components are compared at most")
        numbers += range(int(first), int(last if dash else first) + 1)
    if not numbers or min(numbers) < 1:
        raise ValueError(f"-k {text!r}: numbers of components are from 1, the smaller first")
    return numbers
