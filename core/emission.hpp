// Emissions as a tile of rows sees them: densities for the latent part, then statistics from responsibilities.
#pragma once
#include "product.hpp"

namespace {

using estep::Dtype;
using estep::Kind;
using estep::Rows;
using estep::Spec;

inline int64_t pairs(int64_t D) { return D * (D + 1) / 2; }

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

class DenseTile final : public Tile {  // the rows are log-densities
    const double *data = nullptr;

  public:
    explicit DenseTile(const Spec &s) : Tile(s, 384) {}
    void load(const Rows &rows, int64_t first, int64_t count) override {
        begin(count);
        data = static_cast<const double *>(rows.data) + first * K;
    }
    void log_densities(double *out) override {
        for (int64_t i = 0; i < n; i++)
            for (int64_t k = 0; k < K; k++) out[k * ld + i] = data[i * K + k];
        for (int64_t k = 0; k < K; k++)
            for (int64_t i = n; i < padded; i++) out[k * ld + i] = 0;
    }
    void accumulate(const double *) override {}
    void finish(double *) override {}
};

class TableTile final : public Tile {
    const int32_t *symbols = nullptr;
    Buffer linear, top, sums;  // (M, K) row-scaled, (M,), (M, K)

  public:
    explicit TableTile(const Spec &s) : Tile(s, 384), linear(s.M * s.K), top(s.M), sums(s.M * s.K) {
        for (int64_t m = 0; m < s.M; m++) {
            const double *row = s.weights + m * K;
            double t = row[0];
            for (int64_t k = 1; k < K; k++) t = row[k] > t ? row[k] : t;
            top[m] = t < IMPOSSIBLE ? -INFINITY : t;
            for (int64_t k = 0; k < K; k++)
                linear[m * K + k] = row[k] < IMPOSSIBLE ? 0 : std::fmax(std::exp(row[k] - t), 1e-300);
        }
    }
    void load(const Rows &rows, int64_t first, int64_t count) override {
        begin(count);
        symbols = static_cast<const int32_t *>(rows.data) + first;
    }
    void log_densities(double *out) override {
        for (int64_t i = 0; i < n; i++)
            for (int64_t k = 0; k < K; k++) out[k * ld + i] = spec.weights[symbols[i] * K + k];
        for (int64_t k = 0; k < K; k++)
            for (int64_t i = n; i < padded; i++) out[k * ld + i] = 0;
    }
    void densities(double *, double *rows, int64_t Kp, double *scale) override {
        for (int64_t i = 0; i < n; i++) {
            const double *row = linear + symbols[i] * K;
            for (int64_t k = 0; k < Kp; k++) rows[i * Kp + k] = k < K ? row[k] : 0;
            scale[i] = top[symbols[i]];
        }
    }
    void accumulate(const double *resp) override {
        for (int64_t i = 0; i < n; i++)
            for (int64_t k = 0; k < K; k++) sums[symbols[i] * K + k] += resp[k * ld + i];
    }
    void accumulate_rows(const double *rows, int64_t Kp, double *) override {
        for (int64_t i = 0; i < n; i++) {
            double *s = sums + symbols[i] * K;
            for (int64_t k = 0; k < K; k++) s[k] += rows[i * Kp + k];
        }
    }
    void finish(double *stats) override {
        for (int64_t m = 0; m < spec.M; m++)
            for (int64_t k = 0; k < K; k++) stats[k * spec.M + m] += sums[m * K + k];
    }
};

// rows x rows: x_i x_j (i <= j) of x (D, ld) into out (D (D + 1) / 2, ld)
void products(const double *x, int64_t D, int64_t padded, int64_t ld, double *out) {
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

int64_t feature_tile(int64_t features) {  // a multiple of 24 rows, half a mebibyte of features
    int64_t rows = 65536 / features / 24 * 24;
    return rows < 24 ? 24 : rows > 384 ? 384 : rows;
}

class FeatureTile final : public Tile {  // log b = W' phi(x): two matrix products
    const int64_t F, P, Kp;              // features of each component, shared pairs (tied), components in whole lanes
    const bool lanes;                    // statistics with components (else rows) in the lanes
    Buffer phi, base, resp_rows, mass, sums, shared;

  public:
    explicit FeatureTile(const Spec &s)
        : Tile(s, feature_tile(n_features(s.kind, s.D) + (s.kind == Kind::tied ? pairs(s.D) : 0))),
          F(n_features(s.kind, s.D)),
          P(s.kind == Kind::tied ? pairs(s.D) : 0),
          Kp(round_up(s.K, V)),
          lanes(s.K >= V),
          phi((F + P) * ld),
          base(ld),
          resp_rows(lanes ? size * Kp : 0),
          mass(ld),
          sums(lanes ? F * Kp : K * F * V),
          shared(P * V) {}

    void load(const Rows &rows, int64_t first, int64_t count) override {
        begin(count);
        const int64_t D = spec.D;
        for (int64_t i = 0; i < padded; i++) phi[i] = i < n ? 1 : 0;
        double *x = phi + ld, *second = phi + (1 + D) * ld;
        columns(rows, first, x);
        if (spec.kind == Kind::full || spec.kind == Kind::tied) products(x, D, padded, ld, second);
        if (spec.kind == Kind::diag)
            for (int64_t i = 0; i < D * ld; i++) second[i] = x[i] * x[i];
        if (spec.kind == Kind::spherical)
            for (int64_t i = 0; i < padded; i++) {
                double q = 0;
                for (int64_t d = 0; d < D; d++) q += x[d * ld + i] * x[d * ld + i];
                second[i] = q;
            }
    }

    void log_densities(double *out) override {
        ::densities(padded, F, spec.weights, K, phi.p, ld, out);
        if (spec.kind == Kind::tied) ::densities(padded, P, spec.shared, 1, phi + F * ld, ld, base.p);
        if (spec.counts)
            for (int64_t i = 0; i < n; i++) {
                base[i] = 0;
                for (int64_t d = 0; d < spec.D; d++) base[i] += log_poisson(phi[(1 + d) * ld + i], spec.shared[d]);
            }
        if (spec.kind == Kind::tied || spec.counts)
            for (int64_t k = 0; k < K; k++)
                for (int64_t i = 0; i < padded; i += V)
                    store(out + k * ld + i, ::load(out + k * ld + i) + ::load(base + i));
    }

    void accumulate(const double *resp) override {
        if (lanes) {
            for (int64_t i0 = 0; i0 < n; i0 += 8)
                for (int64_t k = 0; k < K; k++)
                    for (int64_t i = i0; i < (i0 + 8 < n ? i0 + 8 : n); i++) resp_rows[i * Kp + k] = resp[k * ld + i];
            moments_lanes(n, F, phi.p, ld, resp_rows.p, Kp, sums.p);
        } else {
            moments_dots(padded, F, phi.p, K, resp, ld, sums.p);
        }
        if (!P) return;
        for (int64_t i = 0; i < padded; i += V) {
            vec m{};
            for (int64_t k = 0; k < K; k++) m += ::load(resp + k * ld + i);
            store(mass + i, m);
        }
        moments_dots(padded, P, phi + F * ld, 1, mass.p, ld, shared.p);
    }

    void finish(double *stats) override {
        for (int64_t k = 0; k < K; k++)
            for (int64_t f = 0; f < F; f++)
                stats[k * F + f] += lanes ? sums[f * Kp + k] : total(::load(sums + (k * F + f) * V));
        for (int64_t f = 0; f < P; f++) stats[K * F + f] += total(::load(shared + f * V));
    }
};

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

struct AnyTile {  // the tile a spec asks for
    Tile *tile;
    explicit AnyTile(const Spec &s) {
        if (s.kind == Kind::dense) tile = new DenseTile(s);
        else if (s.kind == Kind::table) tile = new TableTile(s);
        else if (s.whitened) tile = new WhitenedTile(s);
        else tile = new FeatureTile(s);
    }
    ~AnyTile() { delete tile; }
    AnyTile(const AnyTile &) = delete;
    AnyTile &operator=(const AnyTile &) = delete;
    Tile *operator->() const { return tile; }
};

}  // namespace
