// Gaussian log-densities from differences to each mean.
#pragma once
#include "features.hpp"

namespace {

// The safe form for Gaussians: differences from each mean, so nothing cancels however far the means are apart.
class WhitenedTile final : public Tile {
    const bool dense;       // full or tied: (D, D) factors; else one inverse deviation a column
    const int64_t D, Q, F;  // second moments kept, moments kept
    Buffer x, diff, sums;   // (D, ld), (F, ld), (K, F, V) about each mean

  public:
    explicit WhitenedTile(const Spec &s)
        : Tile(s, feature_tile(n_features(s.kind, s.D))),
          dense(s.kind == Kind::full || s.kind == Kind::tied),
          D(s.D),
          Q(dense ? pairs(s.D) : s.D),
          F(1 + D + Q),
          x(D * ld),
          diff(F * ld),
          sums(K * F * V) {}

    void load(const Rows &rows, int64_t first, int64_t count) override {
        begin(count);
        columns(rows, first, x.p);
        for (int64_t i = 0; i < padded; i++) diff[i] = i < n ? 1 : 0;
    }

    void log_densities(double *out) override {
        for (int64_t k = 0; k < K; k++) {
            differences(k);
            const double *d = diff + ld, *L = spec.factor + k * D * (dense ? D : 1);
            for (int64_t r = 0; r < padded; r += V) {
                vec q{};
                for (int64_t i = 0; i < D; i++) {
                    vec y{};
                    if (!dense) y = ::load(d + i * ld + r) * L[i];
                    for (int64_t j = 0; dense && j <= i; j++) y += ::load(d + j * ld + r) * L[i * D + j];
                    q += y * y;
                }
                store(out + k * ld + r, spec.lognorm[k] - 0.5 * q);
            }
        }
    }

    void accumulate(const double *resp) override {
        for (int64_t k = 0; k < K; k++) {
            differences(k);
            double *d = diff + ld, *s = diff + (1 + D) * ld;
            if (dense) products(d, D, padded, ld, s);
            for (int64_t i = 0; !dense && i < D * ld; i++) s[i] = d[i] * d[i];
            moments_dots(padded, F, diff.p, 1, resp + k * ld, ld, sums + k * F * V);
        }
    }

    void finish(double *stats) override {  // moved from each mean to the origin, in the layout of the kind
        const bool shares = spec.kind == Kind::tied, sphere = spec.kind == Kind::spherical;
        const int64_t width = n_features(spec.kind, D);
        for (int64_t k = 0; k < K; k++) {
            const double *mu = spec.means + k * D, *from = sums + k * F * V;
            auto moment = [&](int64_t f) { return total(::load(from + f * V)); };
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
        const double *mu = spec.means + k * D;
        for (int64_t d = 0; d < D; d++)
            for (int64_t r = 0; r < padded; r += V) store(diff + (1 + d) * ld + r, ::load(x + d * ld + r) - mu[d]);
    }
};

}  // namespace
