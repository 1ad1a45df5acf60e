// Emissions as a tile of rows sees them: densities for the latent part, then statistics from responsibilities.
#pragma once
#include "product.hpp"

namespace {

using estep::Dtype;
using estep::Kind;
using estep::Rows;
using estep::Spec;

inline int64_t pairs(int64_t D) { return D * (D + 1) / 2; }

class Tile {  // one tile of rows; K x ld matrices have rows in the lanes and n..padded columns are padding
  public:
    const Spec &spec;
    const int64_t K, size, ld;
    int64_t n = 0, padded = 0;

    Tile(const Spec &s, int64_t rows) : spec(s), K(s.K), size(rows), ld(rows + V) {}
    virtual void load(const Rows &rows, int64_t first, int64_t count) = 0;
    virtual void log_densities(double *out) = 0;      // (K, ld), of the loaded rows
    virtual void accumulate(const double *resp) = 0;  // (K, ld), zero in the padding
    virtual void finish(double *stats) = 0;           // adds what accumulate gathered
    virtual ~Tile() {}

    // Densities row by row (n, Kp), scaled to a largest of 1, and the logs of the scales (n,). What is possible stays
    // positive, however small; a row of zeros has the scale -inf.
    virtual void densities(double *L, double *rows, int64_t Kp, double *scale) {
        log_densities(L);
        for (int64_t i = 0; i < padded; i += V) {
            vec m = ::load(L + i);
            for (int64_t k = 1; k < K; k++) m = vmax(m, ::load(L + k * ld + i));
            ivec none = m < IMPOSSIBLE;
            vec safe = none ? vec{} : m;
            const int64_t last = n - i < V ? n - i : V;
            for (int64_t k0 = 0; k0 < Kp; k0 += V) {
                vec r[V];
                for (int64_t k = 0; k < V; k++) {
                    r[k] = vec{};
                    if (k0 + k >= K) continue;
                    vec l = ::load(L + (k0 + k) * ld + i);
                    r[k] = l < IMPOSSIBLE ? vec{} : vmax(vexp(l - safe), splat(1e-300));
                }
                transpose(r);
                for (int64_t j = 0; j < last; j++) store(rows + (i + j) * Kp + k0, r[j]);
            }
            vec top = none ? splat(-INFINITY) : m;
            for (int64_t j = 0; j < last; j++) scale[i + j] = top[j];
        }
    }

    // accumulate() from responsibilities row by row (n, Kp); R (K, ld) is work space
    virtual void accumulate_rows(const double *rows, int64_t Kp, double *R) {
        for (int64_t i = 0; i < padded; i += V)
            for (int64_t k0 = 0; k0 < K; k0 += V) {
                vec r[V];
                for (int64_t j = 0; j < V; j++) r[j] = i + j < n ? ::load(rows + (i + j) * Kp + k0) : vec{};
                transpose(r);
                for (int64_t k = 0; k < V && k0 + k < K; k++) store(R + (k0 + k) * ld + i, r[k]);
            }
        accumulate(R);
    }

  protected:
    void begin(int64_t count) { n = count, padded = round_up(count, V); }

    // x (D, ld): rows first..first+n about the origin, zero in the padding.
    void columns(const Rows &rows, int64_t first, double *x) {
        if (rows.dtype == Dtype::f64) return copy(static_cast<const double *>(rows.data) + first * rows.D, x);
        copy(static_cast<const float *>(rows.data) + first * rows.D, x);
    }

  private:
    template <class T>
    void copy(const T *from, double *x) {
        const int64_t D = spec.D;
        for (int64_t d = 0; d < D; d++) {
            const double o = spec.origin ? spec.origin[d] : 0.0;
            double *to = x + d * ld;
            for (int64_t i = 0; i < n; i++) to[i] = static_cast<double>(from[i * D + d]) - o;
            for (int64_t i = n; i < padded; i++) to[i] = 0;
        }
    }
};

}  // namespace
