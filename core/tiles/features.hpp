// Log-densities that are linear in features of a row: two matrix products a tile.
#pragma once
#include <optional>

#include "linalg/products.hpp"
#include "tiles/moments_by_row.hpp"

namespace {

// log Poisson(x | rate) of whole x, without cancellation (Loader 2000, the saddle-point form).
double log_poisson(double x, double rate) {
    if (x <= 0) return -rate;
    double deficit;  // log x! less Stirling's formula
    if (x < 32) {
        double factorial = 1;
        for (double i = 2; i <= x; i++) factorial *= i;
        deficit = std::log(factorial) - ((x + 0.5) * std::log(x) - x + 0.91893853320467274178);
    } else {
        const double u = 1 / (x * x);
        deficit = (1.0 / 12 - u * (1.0 / 360 - u * (1.0 / 1260 - u * (1.0 / 1680)))) / x;
    }
    const double d = (x - rate) / rate;
    double deviance = 0;  // x log(x / rate) + rate - x
    if (d < 0.1 && d > -0.1) {
        for (int j = 18; j > 1; j--) deviance = deviance * -d + 1.0 / (j * (j - 1));
        deviance *= rate * d * d;
    } else {
        deviance = x * std::log(x / rate) + (rate - x);
    }
    return -deviance - deficit - 0.5 * std::log(6.283185307179586477 * x);
}

// rows x rows: x_i x_j (i <= j) of x (D, ld) into out (D (D + 1) / 2, ld)
void products(const real *x, int64_t D, int64_t padded, int64_t ld, real *out) {
    for (int64_t i = 0, f = 0; i < D; i++)
        for (int64_t j = i; j < D; j++, f++)
            for (int64_t r = 0; r < padded; r += V)
                store(out + f * ld + r, load(x + i * ld + r) * load(x + j * ld + r));
}

int64_t n_features(Kind kind, int64_t D) {
    if (kind == Kind::linear || kind == Kind::tied) return 1 + D;
    if (kind == Kind::diag) return 1 + 2 * D;
    if (kind == Kind::spherical) return 2 + D;
    return 1 + D + pairs(D);
}

// Whole blocks of a product. With few components a tile stays in L1; with more, each feature read is used more often.
int64_t feature_tile(int64_t features, int64_t K) {
    const int64_t rows = (K < 16 ? 4096 : 98304) / features / (3 * V) * (3 * V);
    return rows < 3 * V ? 3 * V : rows > 384 ? 384 : rows;
}

class FeatureTile final : public Tile {  // log b = W' phi(x): two matrix products
    const int64_t F, P, Kp;              // features of each component, shared pairs (tied), components in whole lanes
    bool ready = false;                  // whether phi is that of the loaded rows
    const bool lanes;                    // statistics with components (else rows) in the lanes
    Buffer phi, base, resp_rows, mass, weights, kept_shared;  // weights are packed
    const real *shared;
    Sums sums, shared_sums;
    std::optional<RowMoments> few;  // where looking for what matters may pay

  public:
    explicit FeatureTile(const Spec &s)
        : Tile(s, feature_tile(n_features(s.kind, s.D) + (s.kind == Kind::tied ? pairs(s.D) : 0), s.K)),
          F(n_features(s.kind, s.D)),
          P(s.kind == Kind::tied ? pairs(s.D) : 0),
          Kp(round_up(s.K, V)),
          lanes(s.K >= V && s.K > 8),
          shared(as_real(s.shared, s.counts ? s.D : P, kept_shared)),
          sums(lanes ? F * Kp : s.K * F * V),
          shared_sums(P * V) {
        if ((s.kind == Kind::full || s.kind == Kind::diag) && F >= 24 && K >= 4)
            few.emplace(s, s.kind == Kind::full, nullptr, size);
        Buffer plain;
        const real *w = as_real(s.weights, F * K, plain);
        pack(F, K, AT_A_TIME, K, weights, [&](int64_t f, int64_t k) { return w[f * K + k]; });
        phi.grow((F + P) * ld);
        base.grow(ld);
        mass.grow(ld);
        resp_rows.grow(lanes ? size * Kp : 0);
    }

    void load(const Rows &rows, Pick pick, int64_t count) override { begin(rows, pick, count), ready = false; }

    void log_densities(real *out) override {
        features();
        ::densities(padded, F, weights.data(), K, phi.data(), ld, out);
        if (spec.kind == Kind::tied) ::densities(padded, P, shared, 1, phi + F * ld, ld, base.data());
        if (spec.counts)
            for (int64_t i = 0; i < padded; i++) {
                double sum = 0;
                for (int64_t d = 0; d < spec.D && i < n; d++)
                    sum += log_poisson(static_cast<double>(phi[(1 + d) * ld + i]), spec.shared[d]);
                base[i] = static_cast<real>(sum);
            }
        if (spec.kind == Kind::tied || spec.counts)
            for (int64_t k = 0; k < K; k++)
                for (int64_t i = 0; i < padded; i += V)
                    store(out + k * ld + i, ::load(out + k * ld + i) + ::load(base + i));
    }

    void accumulate(const real *resp, int64_t ldr) override {
        if (few && few->select(resp, ldr, padded, n * F * K / V / few->work() * 3 / 4)) {
            by_rows(few->rows.data(), few->Dp);
            few->add();
            return;
        }
        features();
        if (lanes) {
            to_rows(resp, ldr, K, n, resp_rows.data(), Kp);
            moments_lanes(n, F, phi.data(), ld, 1, resp_rows.data(), Kp, sums.over(n));
        } else {
            moments_dots(padded, F, phi.data(), ld, K, resp, ldr, sums.over(n));
        }
        if (P) share(resp, ldr);
    }

    void accumulate_rows(const real *resp, int64_t stride, real *L) override {
        if (few || !lanes || P || stride != Kp) return Tile::accumulate_rows(resp, stride, L);
        features();
        moments_lanes(n, F, phi.data(), ld, 1, resp, Kp, sums.over(n));
    }

    void finish(double *stats) override {
        for (int64_t k = 0; k < K; k++)
            for (int64_t f = 0; f < F; f++) stats[k * F + f] += lanes ? sums[f * Kp + k] : sums.lanes(k * F + f);
        for (int64_t k = 0; k < K && few; k++) {
            double *to = stats + k * F;
            *to++ += few->mass(k);
            for (int64_t i = 0; i < spec.D; i++) *to++ += few->first(k, i);
            for (int64_t i = 0; i < spec.D; i++)
                for (int64_t j = i; j < (spec.kind == Kind::full ? spec.D : i + 1); j++) *to++ += few->second(k, i, j);
        }
        for (int64_t f = 0; f < P; f++) stats[K * F + f] += shared_sums.lanes(f);
    }

  private:
    void features() {  // phi of the loaded rows
        if (ready) return;
        ready = true;
        const int64_t D = spec.D;
        for (int64_t i = 0; i < n; i++) phi[i] = 1;
        for (int64_t i = n; i < padded; i++) phi[i] = 0;
        real *x = phi + ld, *second = phi + (1 + D) * ld;
        columns(x);
        if (spec.kind == Kind::full || spec.kind == Kind::tied) products(x, D, padded, ld, second);
        if (spec.kind == Kind::diag)
            for (int64_t d = 0; d < D; d++)
                for (int64_t i = d * ld; i < d * ld + padded; i++) second[i] = x[i] * x[i];
        if (spec.kind == Kind::spherical)
            for (int64_t i = 0; i < padded; i += V) {
                vec q{};
                for (int64_t d = 0; d < D; d++) q += ::load(x + d * ld + i) * ::load(x + d * ld + i);
                store(second + i, q);
            }
    }

    // Pairs that all components share: one sum of responsibilities for all.
    void share(const real *resp, int64_t ldr) {
        for (int64_t i = 0; i < padded; i += V) {
            vec m{};
            for (int64_t k = 0; k < K; k++) m += ::load(resp + k * ldr + i);
            store(mass + i, m);
        }
        moments_dots(padded, P, phi + F * ld, ld, 1, mass.data(), ld, shared_sums.over(n));
    }
};

}  // namespace
