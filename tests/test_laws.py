"""Every family in every latent part, under every law."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import estep
from estep import Stop
from laws import (
    law_bound_belongs_to_the_model,
    law_chain_equals_enumeration,
    law_fixed_point_stays,
    law_integer_weight_is_repetition,
    law_maximize_is_stationary,
    law_never_falls,
    law_no_sampled_path_beats_viterbi,
    law_order_of_units_does_not_matter,
    law_posterior_rows_sum_to_the_weight,
    law_round_trips,
    law_statistics_add_over_batches,
)
from models import FAMILIES, Rayleigh, draw, make_model, rows_of

families = pytest.mark.parametrize("family", FAMILIES)
latents = pytest.mark.parametrize("latent", ["independent", "chain"])
pairs = pytest.mark.parametrize(  # of mixtures within components one latent part or the other, which is what takes time
    "family, latent",
    [
        (family, latent)
        for i, family in enumerate(FAMILIES)
        for k, latent in enumerate(("independent", "chain"))
        if "mixture-of" not in family or i % 2 == k
    ],
)


@families
@latents
def test_statistics(family, latent, level):
    model = make_model(family, latent, K=3, D=2)
    source = draw(model, 200)
    rng = np.random.default_rng(0)
    law_statistics_add_over_batches(model, source)
    law_order_of_units_does_not_matter(model, source)
    law_integer_weight_is_repetition(model, source, rng)
    law_posterior_rows_sum_to_the_weight(model, source)


@families
def test_maximize(family):
    model = make_model(family, "independent", K=3, D=2)
    law_maximize_is_stationary(model, draw(model, 200), np.random.default_rng(1))


@families
@pytest.mark.parametrize("K, T", [(1, 1), (1, 4), (2, 1), (2, 7), (3, 5), (4, 4)])
def test_enumeration(family, K, T, level):
    model = make_model(family, "chain", K, D=2, seed=T)
    law_chain_equals_enumeration(model, rows_of(model, T, 3))


@families
def test_viterbi(family, level):
    model = make_model(family, "chain", K=4, D=1)
    law_no_sampled_path_beats_viterbi(model, draw(model, 60), np.random.default_rng(0))


@pairs
def test_em(family, latent, tmp_path):
    truth = make_model(family, latent, K=2, D=2)
    source = draw(truth, 300)
    fit = estep.fit(make_model(family, latent, K=2, D=2, seed=7), source, stop=Stop(tol=1e-10, max_iter=300))
    law_never_falls(fit)
    law_bound_belongs_to_the_model(fit, source)
    law_fixed_point_stays(fit.model, source)
    law_round_trips(fit.model, source, tmp_path, [Rayleigh])


@pairs
def test_sample_then_fit_recovers(family, latent):
    """The truth scores no better on its own sample than the fit that starts there, and lies near it."""
    truth = make_model(family, latent, K=2, D=2, seed=3)
    source = draw(truth, 4000, seed=1)
    fit = estep.fit(truth, source)
    assert fit.bound >= truth.score(source)
    assert fit.bound - truth.score(source) < 3 * truth.n_parameters + 10  # half a chi-squared, with room to spare


@given(
    family=st.sampled_from(sorted(FAMILIES)),
    latent=st.sampled_from(["independent", "chain"]),
    K=st.integers(1, 20),
    D=st.integers(1, 6),
    n=st.integers(1, 70),
    seed=st.integers(0, 2**20),
)
def test_shapes(family, latent, K, D, n, seed):
    """Any shape: statistics are finite, their masses add up to the weight, posteriors to one."""
    model = make_model(family, latent, K, D, seed)
    source = draw(model, n, seed)
    s = model.expect(source.whole())
    assert np.isfinite(s.vector).all()
    np.testing.assert_allclose(s["weight"], n)
    law_posterior_rows_sum_to_the_weight(model, source)
    law_integer_weight_is_repetition(model, source, np.random.default_rng(seed))
