"""Parquet files of 1 GB, read once an iteration: ten EM iterations within a bound on memory.

Against the time that decoding the files and E-steps of the rows in memory take, each by itself on the same cores.

    python benchmarks/stored.py [--rows 8000000] [--columns 16] [--components 8] [--memory 500MB]
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

FILES, PASSES = 8, 10


def memory_of(what):
    """Megabytes of this process, as Linux has them."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(what))
    return int(line.split()[1]) / 1024


def write(folder, n, D):
    """Parquet files of n rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    for i in range(FILES):
        X = rng.normal(size=(n // FILES, D)) + 3 * rng.integers(4, size=(n // FILES, 1))
        names = [f"x{d}" for d in range(D)]
        pq.write_table(pa.table(dict(zip(names, X.T, strict=True))), folder / f"{i}.parquet", row_group_size=100_000)


def model_of(K, D):
    """A model to begin with."""
    import estep

    rng = np.random.default_rng(1)
    family = estep.emissions.Gaussian("full", rng.normal(0, 4, (K, D)), np.tile(4 * np.eye(D), (K, 1, 1)))
    return estep.Model(estep.latents.Independent(np.full(K, 1 / K)), family)


def decode(folder):
    """Seconds to read all files as arrays."""
    from estep.data.opened import blocks_of
    from estep.data.stored import piece_of

    begun = time.perf_counter()
    blocks = blocks_of(folder)
    for block in blocks.read(0, None, piece_of(10**9, len(blocks.names))):
        np.column_stack([column.to_numpy() for column in block.data.columns])
    return time.perf_counter() - begun


def fit(folder, memory, K, held):
    """Seconds of an iteration, and megabytes that the process grew by."""
    import estep

    source = estep.as_source(folder, memory=memory)
    if held:
        source = estep.as_source(np.array(source.X[0 : len(source)]))
    source.summary  # noqa: B018
    model = model_of(K, source.X.shape[1])
    seconds = []
    stop = estep.Stop(tol=0, max_iter=PASSES - 1)
    estep.fit(
        model, source, stop=stop, execute=estep.threads(), callbacks=[lambda it: seconds.append(time.perf_counter())]
    )
    return (seconds[-1] - seconds[0]) / (len(seconds) - 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=8_000_000)
    parser.add_argument("--columns", type=int, default=16)
    parser.add_argument("--components", type=int, default=8)
    parser.add_argument("--memory", default="500MB")
    parser.add_argument("--only", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.only:
        what, folder = args.only
        import pyarrow.parquet  # noqa: F401

        import estep.fitting.restarts  # noqa: F401

        begun = memory_of("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # the peak is that from here on
        value = (
            decode(Path(folder))
            if what == "decode"
            else fit(Path(folder), args.memory, args.components, what == "held")
        )
        print(value, memory_of("VmHWM") - begun)
        return
    with tempfile.TemporaryDirectory() as name:
        write(Path(name), args.rows, args.columns)
        size = sum(f.stat().st_size for f in Path(name).iterdir()) / 1e9
        print(f"{size:.2f} GB of Parquet, {args.rows} rows of {args.columns} columns, K = {args.components}")
        found = {}
        for what in ("decode", "held", "stored"):
            done = subprocess.run(
                [sys.executable, __file__, *sys.argv[1:], "--only", what, name],
                capture_output=True,
                text=True,
                check=True,
            )
            found[what], grown = map(float, done.stdout.split())
            print(f"{what:8}{found[what]:8.3f} s a pass{grown:10.0f} MB more than at the start")
        print(f"(decode + held) / stored = {(found['decode'] + found['held']) / found['stored']:.2f} (0.8 at least)")


if __name__ == "__main__":
    main()
