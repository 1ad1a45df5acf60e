// Gaussian log-densities from differences to each mean.
#pragma once
#include "features.hpp"

namespace {

// The safe form for Gaussians: differences from each mean, so nothing cancels however far the means are apart.
class WhitenedTile final : public Tile {
    const bool dense;                         // full or tied: (D, D) factors; else one inverse deviation a column
    const int64_t D, Q, F;                    // second moments kept, moments kept
    Buffer x, diff, kept_means, kept_factor;  // (D, ld), (F, ld)
    const real *means, *factor;
    Sums sums;  // (K, F, V) about each mean

  public:
    explicit WhitenedTile(const Spec &s)
        : Tile(s, feature_tile(n_features(s.kind, s.D), 1)),
          dense(s.kind == Kind::full || s.kind == Kind::tied),
          D(s.D),
          Q(dense ? pairs(s.D) : s.D),
          F(1 + D + Q),
          x(D * ld),
          diff(F * ld),
          means(as_real(s.means, s.K * D, kept_means)),
          factor(as_real(s.factor, s.K * D * (dense ? D : 1), kept_factor)),
          sums(s.K * F * V) {}

    void load(const Rows &rows, Pick pick, int64_t count) override {
        begin(count);
        columns(rows, pick, x.data());
        for (int64_t i = 0; i < padded; i++) diff[i] = i < n ? 1 : 0;
    }

    void log_densities(real *out) override {
        for (int64_t k = 0; k < K; k++) {
            differences(k);
            const real *d = diff + ld, *L = factor + k * D * (dense ? D : 1);
            const real top = static_cast<real>(spec.lognorm[k]);
            for (int64_t r = 0; r < padded; r += V) {
                vec q{};
                for (int64_t i = 0; i < D; i++) {
                    vec y{};
                    if (!dense) y = ::load(d + i * ld + r) * L[i];
                    for (int64_t j = 0; dense && j <= i; j++) y += ::load(d + j * ld + r) * L[i * D + j];
                    q += y * y;
                }
                store(out + k * ld + r, top - real(0.5) * q);
            }
        }
    }

    void accumulate(const real *resp, int64_t ldr) override {
        real *to = sums.over(n);
        for (int64_t k = 0; k < K; k++) {
            differences(k);
            real *d = diff + ld, *s = diff + (1 + D) * ld;
            if (dense) products(d, D, padded, ld, s);
            for (int64_t i = 0; !dense && i < D * ld; i++) s[i] = d[i] * d[i];
            moments_dots(padded, F, diff.data(), ld, 1, resp + k * ldr, ldr, to + k * F * V);
        }
    }

    void finish(double *stats) override {  // moved from each mean to the origin, in the layout of the kind
        const bool shares = spec.kind == Kind::tied, sphere = spec.kind == Kind::spherical;
        const int64_t width = n_features(spec.kind, D);
        for (int64_t k = 0; k < K; k++) {
            const double *mu = spec.means + k * D;
            auto moment = [&](int64_t f) { return sums.lanes(k * F + f); };
            double *to = stats + k * width, s0 = moment(0);
            double *quad = shares ? stats + K * width : to + 1 + D;
            to[0] += s0;
            for (int64_t i = 0; i < D; i++) to[1 + i] += moment(1 + i) + s0 * mu[i];
            for (int64_t i = 0, f = 0; i < D; i++)
                for (int64_t j = i; j < (dense ? D : i + 1); j++, f++)
                    quad[sphere ? 0 : f] +=
                        moment(1 + D + f) + mu[i] * moment(1 + j) + mu[j] * moment(1 + i) + s0 * mu[i] * mu[j];
        }
    }

  private:
    void differences(int64_t k) {
        const real *mu = means + k * D;
        for (int64_t d = 0; d < D; d++)
            for (int64_t r = 0; r < padded; r += V) store(diff + (1 + d) * ld + r, ::load(x + d * ld + r) - mu[d]);
    }
};

}  // namespace
