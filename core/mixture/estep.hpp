// Independent draws: responsibilities of a tile of rows live in its buffer and are gone when the tile is.
#pragma once
#include "mixture/prune.hpp"
#include "simd/fp_mode.hpp"
#include "tiles/make.hpp"
#include "tiles/softmax.hpp"

namespace {

// L (K, ld) of log-densities becomes responsibilities times weight, added to counts (K, V); loglik (ld,) the rows'
// log-likelihoods; near (K,) is work space.
void responsibilities(const Tile &tile, int64_t K, const real *logweights, const real *weight, real *L, real *loglik,
                      int64_t *near, real *counts) {
    for (int64_t i = 0; i < tile.padded; i += V) {
        int64_t n;
        store(loglik + i, share_out(K, tile.ld, logweights, load(weight + i), L + i, near, &n));
        for (int64_t j = 0; j < n; j++) {
            real *count = counts + near[j] * V;
            store(count, load(count) + load(L + near[j] * tile.ld + i));
        }
    }
}

// The E-step of independent rows. Several mixtures may be the columns of one spec: those of model m end before column
// ends[m]. Of components that have at least the weight `sure`, what is next to nothing may be left out (0: nothing is).
class Mixture {
    const Spec &spec;
    const int64_t *const ends, models;
    const Rows &rows;
    const estep::MixtureOut &out;
    std::unique_ptr<Tile> tile;  // for all components, once it is needed
    Buffer L, loglik, weight, kept;
    Array<int64_t> near;  // work space
    Sums counts;
    const real *logweights;
    std::optional<Prune> prune;

  public:
    Mixture(const Spec &s, const int64_t *ends_, int64_t models_, const double *logweights_, double sure, const Rows &r,
            const estep::MixtureOut &o)
        : spec(s),
          ends(ends_),
          models(models_),
          rows(r),
          out(o),
          near(s.K),
          counts(s.K * V),
          logweights(as_real(logweights_, s.K, kept)) {
        if (!sure || out.resp || !Prune::possible(s, rows)) return;
        prune.emplace(s, logweights, sure, ends, models, rows);
        if (!prune->pays()) prune.reset();
        else loglik.grow(prune->ld), weight.grow(prune->ld);
    }

    void run() {
        for (int64_t first = 0; first < rows.n;) first += prune && prune->pays() ? few(first) : all(first);
        for (int64_t k = 0; k < spec.K && out.counts; k++) out.counts[k] += counts.lanes(k);
        if (out.stats && tile) tile->finish(out.stats);
        if (prune) prune->finish(out.stats, out.counts);
    }

  private:
    int64_t weigh(int64_t first, const Tile &of) {  // the weights of the rows of a tile; how many
        const int64_t n = std::min(of.size, rows.n - first);
        for (int64_t i = 0; i < round_up(n, V); i++)
            weight[i] = i >= n ? 0 : rows.weight ? static_cast<real>(rows.weight[first + i]) : 1;
        return n;
    }

    int64_t all(int64_t first) {  // components are looked at; how many rows it took
        if (!tile) {
            tile = make_tile(spec, rows);
            L.grow(spec.K * tile->ld), loglik.grow(tile->ld), weight.grow(tile->ld);
        }
        const int64_t n = weigh(first, *tile), ld = tile->ld;
        tile->load(rows, {first, nullptr}, n);
        tile->log_densities(L.data());
        real *count = counts.over(n);
        for (int64_t m = 0; m < models; m++) {
            const int64_t k = m ? ends[m - 1] : 0;
            responsibilities(*tile, ends[m] - k, logweights + k, weight.data(), L + k * ld, loglik.data(), near.data(),
                             count + k * V);
            say(m, first, n);
        }
        if (out.stats) tile->accumulate(L.data(), ld);
        for (int64_t i = 0; i < n && out.resp; i++)
            for (int64_t k = 0; k < spec.K; k++)
                out.resp[(first + i) * spec.K + k] = static_cast<double>(L[k * ld + i]);
        return n;
    }

    int64_t few(int64_t first) {  // the same with those alone that may have part
        const int64_t n = weigh(first, *prune);
        if (!prune->look(rows, first, n)) return all(first);
        for (int64_t m = 0; m < models; m++) {
            prune->share(m, weight.data(), loglik.data());
            say(m, first, n);
        }
        if (out.stats) prune->add();
        return n;
    }

    void say(int64_t m, int64_t first, int64_t n) const {  // the log-likelihoods of model m
        if (out.totals) out.totals[m] += rows.weight ? weighted(rows.weight + first, n) : sum(n);
        for (int64_t i = 0; i < n && out.loglik; i++)
            out.loglik[(first + i) * models + m] = static_cast<double>(loglik[i]);
    }
    // Of log-likelihoods; rows without a weight (in single precision, if that is what the kernel is) do not count.
    double weighted(const double *times, int64_t n) const {
        double all = 0;
        for (int64_t i = 0; i < n; i++) all += weight[i] > 0 ? times[i] * static_cast<double>(loglik[i]) : 0;
        return all;
    }
    double sum(int64_t n) const {  // the same where all have the weight 1, and padding none
        double lanes[V] = {}, all = 0;
        for (int64_t i = 0; i < n; i += V) ::add(lanes, load(weight + i) > real(0) ? load(loglik + i) : vec{});
        for (int l = 0; l < V; l++) all += lanes[l];
        return all;
    }
};

void mixture(const Spec &spec, const int64_t *ends, int64_t models, const double *logweights, double sure,
             const Rows &rows, const estep::MixtureOut &out) {
    FlushDenormals guard;
    Mixture(spec, ends, models, logweights, sure, rows, out).run();
}

// Adds the statistics of the rows under responsibilities (n, K) that are given, weights included.
void accumulate(const Spec &spec, const Rows &rows, const double *resp, double *stats) {
    FlushDenormals guard;
    const auto tile = make_tile(spec, rows);
    const int64_t K = spec.K, ld = tile->ld;
    Buffer L(K * ld);
    for (int64_t first = 0; first < rows.n; first += tile->size) {
        const int64_t n = std::min(tile->size, rows.n - first);
        tile->load(rows, {first, nullptr}, n);
        for (int64_t i = 0; i < n; i++)
            for (int64_t k = 0; k < K; k++) L[k * ld + i] = static_cast<real>(resp[(first + i) * K + k]);
        for (int64_t k = 0; k < K; k++)
            for (int64_t i = n; i < tile->padded; i++) L[k * ld + i] = 0;
        tile->accumulate(L.data(), ld);
    }
    tile->finish(stats);
}

#if !defined(ESTEP_SINGLE)
void log_densities(const Spec &spec, const Rows &rows, double *out) {
    const auto tile = make_tile(spec, rows);
    const int64_t K = spec.K, ld = tile->ld;
    Buffer L(K * ld);
    for (int64_t first = 0; first < rows.n; first += tile->size) {
        const int64_t n = rows.n - first < tile->size ? rows.n - first : tile->size;
        tile->load(rows, {first, nullptr}, n);
        tile->log_densities(L.data());
        for (int64_t i = 0; i < n; i++)
            for (int64_t k = 0; k < K; k++) {
                const real l = L[k * ld + i];
                out[(first + i) * K + k] = l < IMPOSSIBLE ? -INFINITY : static_cast<double>(l);
            }
    }
}
#endif

}  // namespace
