"""A long sequence cut into chunks gives what it gives whole, whether its chain forgets or not."""

from itertools import cycle

import numpy as np
import pytest

import estep
from estep import Model, kernels
from estep.emissions import Categorical, Gaussian, MixtureOf
from estep.execution.serial import Serial
from estep.execution.threads import threads
from estep.inference.driver import Driver
from estep.inference.e_step import EStep
from estep.interface import Path
from estep.latents import Chain
from models import FAMILIES, draw, make_model, read, rows_of, use

ROWS = 300
LEVELS = [k for k in kernels.levels() if k != "reference"] or ["reference"]


def one_sequence(model, n, seed=0):
    return read(model, rows_of(model, n, seed))


def sticky(K, stay):
    off = (1 - stay) / (K - 1) if K > 1 else 0.0
    return np.full((K, K), off) + (1 - off * K) * np.eye(K)


CHAINS = {
    "forgets": lambda K: (np.full(K, 1 / K), sticky(K, 0.7)),
    "forgets slowly": lambda K: (np.full(K, 1 / K), sticky(K, 0.999)),
    "never forgets": lambda K: (np.full(K, 1 / K), np.eye(K)),
    "turns": lambda K: (np.full(K, 1 / K), np.roll(np.eye(K), 1, axis=1)),
    "left to right": lambda K: (
        np.eye(K)[0],
        np.triu(np.tril(np.full((K, K), 0.5), 1)) + np.diag([0.0] * (K - 1) + [0.5]),
    ),
    "starts anywhere, ends in one": lambda K: (np.full(K, 1 / K), np.eye(K) * 0.99 + 0.01 * np.eye(K)[-1]),
}


def vague(kind, K):
    """Emissions that tell the states apart a little only, so that the chain matters."""
    if kind == "gaussian":
        return Gaussian("diag", np.linspace(-0.3, 0.3, K)[:, None] * [[1.0, -0.5]], np.ones((K, 2)))
    if kind == "mixture":
        return MixtureOf(vague("gaussian", 2 * K), 2, np.full((K, 2), 0.5))
    return Categorical(np.random.default_rng(1).dirichlet(np.full(5, 20.0), size=K))


def everything(model, source, rows, execute=None):
    """The statistics from leaves of ``rows`` rows, and these."""
    leaves = source.leaves(rows)
    execute = Serial() if execute is None else execute
    with execute.running():
        s = Driver(leaves, execute).add(EStep(model))
    return s, leaves


def assert_cut_is_whole(model, source, rows, tolerance=1e-9):
    whole, _ = everything(model, source, len(source))
    cut, leaves = everything(model, source, rows)
    assert len(leaves) > 3
    np.testing.assert_allclose(cut.vector, whole.vector, rtol=tolerance, atol=tolerance * np.abs(whole.vector).max())


@pytest.mark.parametrize("kind", ["gaussian", "categorical"])
@pytest.mark.parametrize("K", [1, 2, 5, 11])
@pytest.mark.parametrize("name", CHAINS)
def test_stretches_add_up_to_the_sequence(name, K, kind, compiled):
    model = Model(Chain(*CHAINS[name](K)), vague(kind, K))
    assert_cut_is_whole(model, one_sequence(model, 5000), 1000)


def assert_as_reference(model, source, monkeypatch, tolerance=1e-8):
    """Statistics of all rows and posterior probabilities are those of the reference kernels."""
    got, _ = everything(model, source, 3000)
    gamma, scores = model.predict_proba(source), model.score_units(source)
    use(monkeypatch, "reference")
    want, _ = everything(model, source, len(source))
    np.testing.assert_allclose(got.vector, want.vector, rtol=tolerance, atol=tolerance / 10 * np.abs(want.vector).max())
    np.testing.assert_allclose(gamma, model.predict_proba(source), atol=tolerance)
    np.testing.assert_allclose(scores, model.score_units(source), rtol=1e-10)


@pytest.mark.parametrize("name, kind", zip(CHAINS, cycle(["gaussian", "categorical", "mixture"]), strict=False))
def test_many_states_go_block_by_block(name, kind, compiled, monkeypatch):
    """With 40 states, a block has 1638 rows, on three tracks if the chain forgets."""
    model = Model(Chain(*CHAINS[name](40)), vague(kind, 40))
    X, lengths = rows_of(model, 5500, 0), np.array([4000, 900, 600])
    assert_as_reference(model, read(model, X, lengths, weights=np.array([0.5, 0.0, 2.0])), monkeypatch)


@pytest.mark.parametrize("saying", ["all", "most"])
def test_tracks_that_meet_where_nothing_is_said(saying, compiled, monkeypatch):
    """Rows that tell the states apart, so that a chain that hardly moves forgets; but not those around a boundary."""
    K, n = 40, 4000
    P = np.hstack([0.89 * np.eye(K) + 0.01 / K, np.full((K, 1), 0.1)])
    model = Model(Chain(np.full(K, 1 / K), sticky(K, 1 - 1e-7)), Categorical(P))
    X = np.repeat(np.arange(n // 400) * 3, 400)[:, None].astype(np.int32)
    if saying == "most":
        X[1000:1700] = K  # two tracks of three meet here
    assert_as_reference(model, read(model, X), monkeypatch)


@pytest.mark.parametrize(
    "K, n, where",
    [
        (K, n, where)
        for K, n in ((3, 600), (9, 3000), (40, 4000))
        for where in ("first", "last", "boundary", "in a row", "all")
        if where in ("boundary", {3: "all", 9: "last", 40: "first"}[K]) or (K == 40 and where == "in a row")
    ],
)
def test_steps_where_the_likeliest_states_cannot_be_reached(where, K, n, compiled, monkeypatch):
    """A ring of states that stay or move on by one; rows that only a state far away explains."""
    ring = 0.6 * np.eye(K) + 0.4 * np.roll(np.eye(K), 1, axis=1)
    model = Model(Chain(np.eye(K)[0], ring), Gaussian("spherical", 45.0 * np.arange(K)[:, None], np.ones(K)))
    X = rows_of(model, n, 1)
    rows = {
        "first": [0],
        "last": [n - 1],
        "boundary": [t for t in (299, 1332, 1333, 1637, 1638, 2665, 2666, 2999) if t < n],
        "in a row": range(100, 120),
        "all": range(n),
    }
    for t in rows[where]:
        X[t] = 45.0 * ((round(X[t, 0] / 45) + K // 2) % K)
    assert_as_reference(model, read(model, X), monkeypatch)


@pytest.mark.parametrize("K, n, boundary", [(8, 4096, 1024), (9, 4096, 1024), (40, 3000, 1000), (80, 3000, 1000)])
def test_scores_of_states_that_never_meet(K, n, boundary, compiled):
    """Two halves of the states: what speaks for one of them before each boundary is outweighed after. Closed form."""
    h, rare = K // 2, np.exp(-1.0)
    A, P = np.zeros((K, K)), np.zeros((K, 4))
    A[:h, :h], A[h:, h:] = 1 / h, 1 / (K - h)
    P[:h, :3], P[h:, :3] = [0.4, 0.4 * rare, 0.1], [0.4 * rare, 0.4, 0.1]
    P[:, 3] = 1 - P.sum(axis=1)
    start = np.r_[np.full(h, 0.5 / h), np.full(K - h, 0.5 / (K - h))]
    X = np.full((n, 1), 2, dtype=np.int32)
    X[:70] = X[boundary - 65 : boundary] = 0
    X[boundary : boundary + 210] = 1
    for other in [2 * (n // 3)] if K > 32 else [n * i // 8 for i in range(3, 8)]:
        X[other - 80 : other] = 1
    model = Model(Chain(start, A), Categorical(P))
    want = np.logaddexp(*(np.log(0.5) + np.log(P[k, X[:, 0]]).sum() for k in (0, h)))
    assert model.score(X) == pytest.approx(want, rel=1e-12)


def turning(K):
    """K symbol distributions: 0 speaks for the first state, 2 for the second, 1 for neither, 3 for the others."""
    rare = np.exp(-20)
    P = np.tile([1e-4, 1e-5, 1e-4, 1 - 2.1e-4], (K, 1))
    P[0], P[1] = [0.5, 0.3, 0.5 * rare, 0.2 - 0.5 * rare], [0.5 * rare, 0.3, 0.5, 0.2 - 0.5 * rare]
    return P / P.sum(axis=1, keepdims=True)


TURNS = ("at a boundary", "neutral after a boundary", "before a boundary", "at a block")


@pytest.mark.parametrize(
    "level, where", [(k, where) for i, k in enumerate(LEVELS[::-1]) for where in (TURNS if i == 0 else TURNS[i::2])]
)
def test_evidence_that_turns_round_in_a_chain_that_never_forgets(level, where, monkeypatch):
    """States that never change, and far more evidence on either side of a turn than linear space can hold."""
    use(monkeypatch, level)
    K = 33
    model = Model(Chain(np.full(K, 1 / K), np.eye(K)), Categorical(turning(K)))
    boundary = 16384  # of leaves, and blocks of 1985 rows
    X = np.full(32905, 2)
    turns = {"before a boundary": boundary - 5000, "at a block": 1984}
    turn = turns.get(where, boundary - 1)
    X[:turn] = 0
    if where.startswith("neutral"):
        X[turn + 1 : turn + 2500] = 1
    X = X[:6000] if where == "at a block" else X
    each = np.log(1 / K) + np.log(turning(K))[:, X].sum(axis=1)
    whole = np.logaddexp.reduce(each)
    np.testing.assert_allclose(model.score(X[:, None]), whole, rtol=1e-11)
    gamma = model.predict_proba(X[:, None])
    np.testing.assert_allclose(gamma, np.tile(np.exp(each - whole), (len(X), 1)), atol=1e-7)
    np.testing.assert_allclose(gamma.sum(axis=1), 1, atol=1e-9)


@pytest.mark.parametrize("family", FAMILIES)
def test_stretches_of_every_family(family, level):
    model = make_model(family, "chain", K=3, D=2)
    n = 5000 if level != "reference" else 1500
    assert_cut_is_whole(model, one_sequence(model, n), n // 5)


@pytest.mark.parametrize("kind", ["gaussian", "mixture"])
@pytest.mark.parametrize("name", CHAINS)
def test_levels_agree_on_stretches(name, kind, compiled):
    """Given messages or guessed from a halo, a chunk is what the reference makes of it."""
    K, n = 3, 4000
    model = Model(Chain(*CHAINS[name](K)), vague(kind, K))
    source = one_sequence(model, n)
    rng = np.random.default_rng(0)
    spec, chain = model.kernel(source.summary), (model.latent.startprob, model.latent.transmat)
    for left, right in [(True, True), (True, False), (False, True)]:
        halo = (1024, 1024, False, False)
        messages = {level: np.empty((4, K)) for level in ("reference", compiled)}
        given = [np.log(rng.dirichlet(np.ones(K))) if there else None for there in (left, right)]
        out = {}
        for level, seen in messages.items():
            loglik, start, trans = np.empty(1), np.zeros(K), np.zeros((K, K))
            stats, gamma = np.zeros(spec.statistics_size), np.zeros((n, K))
            ends = np.array([n])
            kernels.load(level).chain(
                spec, *chain, ends, source.X, np.array([2.0]), loglik, start, trans, stats, gamma, halo, *given, seen
            )
            out[level] = [loglik, start, trans, stats, gamma]
        if name in ("forgets", "forgets slowly") or (left and right):
            for a, b in zip(out["reference"], out[compiled], strict=True):
                np.testing.assert_allclose(b, a, rtol=1e-7, atol=1e-8)
            for a, b in zip(messages["reference"], messages[compiled], strict=True):
                np.testing.assert_allclose(np.exp(b - b.max()), np.exp(a - a.max()), rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("K", [2, 5, 11])
@pytest.mark.parametrize("name", CHAINS)
def test_what_users_ask_of_a_long_sequence(name, K, compiled, monkeypatch):
    model = Model(Chain(*CHAINS[name](K)), vague("gaussian", K))
    source = one_sequence(model, 6000)
    want = model.score(source), model.predict_proba(source), *model.decode(source)
    monkeypatch.setattr(estep.latents.chain, "CHAIN_ROWS", 512)
    monkeypatch.setattr(estep.latents.chain, "LEAF_WORK", 1)
    assert len(source.leaves(model.leaf_rows())) == 11
    for execute in (None, threads(2)):
        np.testing.assert_allclose(model.score(source, execute=execute), want[0], rtol=1e-11)
        np.testing.assert_allclose(model.predict_proba(source, execute=execute), want[1], atol=1e-9)
        path, logprob = model.decode(source, execute=execute)
        np.testing.assert_allclose(logprob, want[3], rtol=1e-11)
        steps = np.take_along_axis(model.emission.evaluate(source.whole()).log_densities, path[:, None], axis=1)[:, 0]
        np.testing.assert_allclose(model.latent.path_log_probability(steps, Path(path)), want[3], rtol=1e-11)


def test_threads_do_not_change_a_bit(compiled, monkeypatch):
    monkeypatch.setattr(estep.latents.chain, "CHAIN_ROWS", 1024)
    monkeypatch.setattr(estep.latents.chain, "LEAF_WORK", 1)
    model = Model(Chain(*CHAINS["forgets"](4)), vague("gaussian", 4))
    source = one_sequence(model, 20_000)
    fits = [estep.fit(model, source, stop=estep.Stop(tol=0, max_iter=4), execute=threads(n)) for n in (1, 2, 3)]
    assert len({tuple(f.trace.bounds) for f in fits}) == 1
    assert all((f.model.emission.means == fits[0].model.emission.means).all() for f in fits)


def test_impossible_steps_are_named_wherever_they_are(compiled, monkeypatch):
    monkeypatch.setattr(estep.latents.chain, "CHAIN_ROWS", 512)
    monkeypatch.setattr(estep.latents.chain, "LEAF_WORK", 1)
    model = Model(Chain([1.0, 0.0], [[1.0, 0.0], [0.0, 1.0]]), Categorical([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5]]))
    X = np.zeros((5000, 1), np.int32)
    X[3210] = 2
    assert model.score(X) == -np.inf
    with pytest.raises(ValueError, match=r"sequence 0 .* step 3210 .*row 3210"):
        model.decode(X)
    with pytest.raises(ValueError, match=r"sequence 0 .* step 3210 .*row 3210"):
        estep.fit(model, X)


def test_long_and_short_sequences_together(compiled):
    model = make_model("gaussian-diag", "chain", K=3, D=2)
    X = draw(model, 6000).X
    lengths = [1, 0, 3000, 5, 2400, 0, 594]
    source = read(model, X, lengths)
    leaves = source.leaves(ROWS)
    assert sum(b.weight for b in leaves) == 6000
    assert_cut_is_whole(model, source, ROWS)
