// Gaussian log-densities from differences to each mean.
#pragma once
#include "tiles/features.hpp"

namespace {

// The safe form for Gaussians: differences from each mean, so nothing cancels however far the means are apart. Also
// the faster one for full covariances of many columns: a factor stays in L1, and no products of columns are kept.
class WhitenedTile : public Tile {
  protected:
    static constexpr int MR = ACCUMULATORS / 3;  // rows of a factor at a time
    const bool dense;                            // full or tied: (D, D) factors; else one inverse deviation a column
    const int64_t D, per;                        // reals of a component's factor
    Buffer x, diff, factor, kept_means;          // (D, ld); (D, 3 V), whole vectors; (K, per)
    const real *means;
    RowMoments moments;  // about each mean

  public:
    explicit WhitenedTile(const Spec &s)
        : WhitenedTile(s, 49152 / s.D < 384 ? 49152 / s.D / (3 * V) * (3 * V) + 3 * V : 384) {}
    WhitenedTile(const Spec &s, int64_t rows)
        : Tile(s, rows),
          dense(s.kind == Kind::full || s.kind == Kind::tied),
          D(s.D),
          per(dense ? packed(D) : D),
          means(as_real(s.means, s.K * D, kept_means)),
          moments(s, dense, s.means, size) {
        x.grow(D * ld), diff.grow(3 * V * round_up(D, V)), factor.grow(K * per);
        for (int64_t k = 0; k < K; k++) {
            const double *from = s.factor + k * (dense ? D * D : D);
            real *to = factor + k * per;
            for (int64_t i = 0; i < D && !dense; i++) to[i] = static_cast<real>(from[i]);
            for (int64_t i0 = 0; i0 < D && dense; i0 += MR)
                for (int64_t j = 0; j < i0 + MR && j < D; j++)
                    for (int64_t i = i0; i < i0 + MR; i++)
                        *to++ = i < D && j <= i ? static_cast<real>(from[i * D + j]) : 0;
        }
    }

    void load(const Rows &rows, Pick pick, int64_t count) override { begin(rows, pick, count); }

    void log_densities(real *out) override {
        columns(x.data());
        for (int64_t k = 0; k < K; k++) {
            int64_t r = 0;
            for (; r + 3 * V <= padded; r += 3 * V) densities_at<3>(k, r, D, 0, out + k * ld + r);
            for (; r < padded; r += V) densities_at<1>(k, r, D, 0, out + k * ld + r);
        }
    }

    void accumulate(const real *resp, int64_t ldr) override {
        moments.select(resp, ldr, padded, INT64_MAX);
        by_rows(moments.rows.data(), moments.Dp);
        moments.add();
    }

    void finish(double *stats) override {  // moved from each mean to the origin, in the layout of the kind
        const bool shares = spec.kind == Kind::tied, sphere = spec.kind == Kind::spherical;
        const int64_t width = n_features(spec.kind, D);
        for (int64_t k = 0; k < K; k++) {
            const double *mu = spec.means + k * D, s0 = moments.mass(k);
            double *to = stats + k * width, *quad = shares ? stats + K * width : to + 1 + D;
            auto first = [&](int64_t i) { return moments.first(k, i); };
            to[0] += s0;
            for (int64_t i = 0; i < D; i++) to[1 + i] += first(i) + s0 * mu[i];
            for (int64_t i = 0, f = 0; i < D; i++)
                for (int64_t j = i; j < (dense ? D : i + 1); j++, f++)
                    quad[sphere ? 0 : f] +=
                        moments.second(k, i, j) + mu[i] * first(j) + mu[j] * first(i) + s0 * mu[i] * mu[j];
        }
    }

  protected:
    // The log-density of component k, plus `offset`, at the NR vectors of rows from r on, as far as its first `some`
    // columns go.
    template <int NR>
    void densities_at(int64_t k, int64_t r, int64_t some, real offset, real *out) {
        const real *mu = means + k * D, *L = factor + k * per;
        for (int64_t d = 0; d < some; d++)
            for (int j = 0; j < NR; j++) store(diff + (d * NR + j) * V, ::load(x + d * ld + r + j * V) - mu[d]);
        vec q[NR];
        if (dense) {
            distances<NR>(k, some, q);
        } else {
            for (int j = 0; j < NR; j++) q[j] = vec{};
            for (int64_t d = 0; d < some; d++)
                for (int j = 0; j < NR; j++) {
                    const vec y = ::load(diff + (d * NR + j) * V) * L[d];
                    q[j] += y * y;
                }
        }
        const real top = static_cast<real>(spec.lognorm[k]) + offset;
        for (int j = 0; j < NR; j++) store(out + j * V, top - real(0.5) * q[j]);
    }

    // The squares of `diff` (D, NR, V) by the first `some` rows of the factor of component k, whole blocks or all.
    template <int NR>
    void distances(int64_t k, int64_t some, vec *q) const {
        const real *L = factor + k * per;
        for (int j = 0; j < NR; j++) q[j] = vec{};
        for (int64_t i = 0; i < some; i += MR) L = rows_of_factor<NR>(L, i + MR < D ? i + MR : D, q);
    }

  private:
    static int64_t packed(int64_t D) {  // blocks of MR rows, each up to its last column
        int64_t n = 0;
        for (int64_t i = 0; i < D; i += MR) n += MR * (i + MR < D ? i + MR : D);
        return n;
    }

    template <int NR>
    const real *rows_of_factor(const real *L, int64_t columns_, vec *q) const {
        vec c[MR][NR];
        for (int m = 0; m < MR; m++)
            for (int j = 0; j < NR; j++) c[m][j] = vec{};
        for (int64_t d = 0; d < columns_; d++, L += MR) {
            vec v[NR];
            for (int j = 0; j < NR; j++) v[j] = ::load(diff + (d * NR + j) * V);
            for (int m = 0; m < MR; m++)
                for (int j = 0; j < NR; j++) c[m][j] += L[m] * v[j];
        }
        for (int m = 0; m < MR; m++)
            for (int j = 0; j < NR; j++) q[j] += c[m][j] * c[m][j];
        return L;
    }
};

}  // namespace
