// What some columns say of Gaussian log-densities: no more than that can they be. In single precision, where that is
// enough to tell components apart.
#pragma once
#include <algorithm>

#include "linalg/products.hpp"

namespace {

// Bounds of log-densities with weights, linear in the features 1, x and products of columns (full) or squares (diag).
class Bounds {
    const estep::Spec &spec;
    const bool dense;
    const int64_t K, D, ld;
    int64_t P = 0, F = 0;              // columns that are looked at, their features
    Array<float> phi, weights, bound;  // (F, ld); (F, K), packed; (K, ld)
    Array<float> sizes, radius;        // (K, F): absolute weights; (F,): the largest features

  public:
    static constexpr int64_t W = Wide<float>::count;
    float slack = 0;  // what rounding may take from a bound
    int64_t padded = 0;

    Bounds(const estep::Spec &s, int64_t ld_) : spec(s), dense(s.kind == estep::Kind::full), K(s.K), D(s.D), ld(ld_) {
        bound.grow(K * ld);
    }

    float *of(int64_t k) const { return bound + k * ld; }

    // A density of |factor (x - mu)|^2 with some columns alone is one of their precisions.
    void look_at(int64_t columns, const real *logweights) {
        P = columns, F = 1 + P + (dense ? P * (P + 1) / 2 : P);
        phi.grow(F * ld), sizes.zeros(K * F + W), radius.grow(F + W);
        Array<double> w(K * F), precision(P * P);
        for (int64_t k = 0; k < K; k++) {
            const double *mu = spec.means + k * D, *L = spec.factor + k * (dense ? D * D : D);
            double *one = w + k * F, *linear = one + 1, *second = linear + P;
            *one = spec.lognorm[k] + std::max(static_cast<double>(logweights[k]), -1e30);
            for (int64_t i = 0; i < P; i++)
                for (int64_t j = i; j < last(i); j++) {
                    double s = dense ? 0 : L[i] * L[i];
                    for (int64_t r = j; r < P && dense; r++) s += L[r * D + i] * L[r * D + j];
                    precision[i * P + j] = precision[j * P + i] = s;
                    *second++ = i == j ? -0.5 * s : -s;
                }
            for (int64_t i = 0; i < P; i++) {
                for (int64_t j = dense ? 0 : i; j < last(i); j++) linear[i] += precision[i * P + j] * mu[j];
                *one -= 0.5 * linear[i] * mu[i];
            }
            for (int64_t f = 0; f < F; f++) sizes[k * F + f] = static_cast<float>(std::fabs(one[f]));
            if (logweights[k] < -1e29f) sizes[k * F] = 0;  // nothing is in doubt
        }
        pack(F, K, AT_A_TIME, K, weights, [&](int64_t f, int64_t k) { return w[k * F + f]; });
    }

    // Fills the bounds at n rows, of which x (P, ld) has the columns and zeros up to whole vectors; false where single
    // precision is too little.
    bool fill(const real *x, int64_t n) {
        padded = round_up(n, W);
        features(x);
        float size = 0;
        for (int64_t k = 0; k < K; k++) {
            vec_of<float> s{};
            for (int64_t f = 0; f < F; f += W) s += load(sizes + k * F + f) * masked(f);
            float sum = 0;
            for (int l = 0; l < W; l++) sum += s[l];
            size = sum > size ? sum : size;
            if (!(sum < 1e6f)) return false;
        }
        slack = 1.2e-7f * static_cast<float>(F + 4) * size;  // a rounding of each term, and of each sum
        densities(padded, F, weights.data(), K, phi.data(), ld, bound.data());
        return true;
    }

    // Which of the components from `first` to `last` has the highest bound in each row.
    void lead(int64_t first, int64_t last, float *who) const {
        in_blocks<4>(padded / W, [&](auto width, int64_t i) {
            constexpr int N = decltype(width)::value;
            const vec_of<float> none{};
            vec_of<float> high[N], whose[N];
            for (int j = 0; j < N; j++) high[j] = none - INFINITY, whose[j] = none + static_cast<float>(first);
            for (int64_t k = first; k < last; k++)
                for (int j = 0; j < N; j++) {
                    const vec_of<float> b = load(of(k) + (i + j) * W);
                    const auto more = b > high[j];
                    high[j] = more ? b : high[j], whose[j] = more ? none + static_cast<float>(k) : whose[j];
                }
            for (int j = 0; j < N; j++) store(who + (i + j) * W, whose[j]);
        });
    }

    // Writes the rows in which the bound of component k is above `floor` (padded,); how many.
    int64_t above_floor(int64_t k, const float *floor, int32_t *rows) const {
        int64_t c = 0;
        const float *b = of(k);
        in_blocks<4>(padded / W, [&](auto width, int64_t i) {
            constexpr int N = decltype(width)::value;
            unsigned near[N], some = 0;
            for (int j = 0; j < N; j++) some |= near[j] = above(load(b + (i + j) * W), load(floor + (i + j) * W));
            for (int j = 0; j < N && some; j++) c += which<W>(near[j], static_cast<int32_t>((i + j) * W), rows + c);
        });
        return c;
    }

  private:
    int64_t last(int64_t i) const { return dense ? P : i + 1; }

    vec_of<float> masked(int64_t f) const {  // the largest features from f on
        vec_of<float> r = load(radius + f);
        for (int64_t l = F - f; l < W; l++) r[l] = 0;
        return r;
    }

    void features(const real *x) {
        float *linear = phi + ld, *second = linear + P * ld;
        radius[0] = 1;
        for (int64_t i = 0; i < padded; i++) phi[i] = 1;
        for (int64_t d = 0; d < P; d++) {
            for (int64_t i = 0; i < padded; i++) linear[d * ld + i] = static_cast<float>(x[d * ld + i]);
            vec_of<float> high{};
            for (int64_t i = 0; i < padded; i += W) {
                const vec_of<float> v = load(linear + d * ld + i), u = v < 0 ? -v : v;
                high = high > u ? high : u;
            }
            radius[1 + d] = 0;
            for (int l = 0; l < W; l++) radius[1 + d] = std::max(radius[1 + d], high[l]);
        }
        for (int64_t a = 0, f = 1 + P; a < P; a++)
            for (int64_t b = a; b < last(a); b++, f++, second += ld) {
                radius[f] = radius[1 + a] * radius[1 + b];
                for (int64_t i = 0; i < padded; i += W)
                    store(second + i, load(linear + a * ld + i) * load(linear + b * ld + i));
            }
    }
};

}  // namespace
