// E-steps of Gaussian mixtures that look closely at few components: a log-density falls with each column that is looked
// at, so that a few columns tell, in single precision, which components are too far away to have part in a row.
#pragma once
#include <algorithm>

#include "linalg/products.hpp"
#include "mixture/bounds.hpp"
#include "tiles/whitened.hpp"

namespace {

class Prune final : public WhitenedTile {
    static constexpr int64_t TRIED = 12;           // rows by which the number of columns is chosen
    static constexpr int64_t LEAST = 512;          // rows
    static constexpr real LEFT_OUT = real(1e-24);  // of the best one's part
    static constexpr double WORTH = 0.8;           // of the work of looking at all
    const int64_t models, *const ends;
    const real *logweights;
    const int64_t Dp;
    int64_t looked = 0;         // columns that bounds look at; 0: no sifting
    double most = 0, left = 0;  // components a row for which sifting pays; how many may be looked at yet
    Bounds bounds;
    Array<float> floor, depth;  // (ld,), below which bounds do not count, of components sure to have rows and of others
    Array<real> reach;          // (K,): how far below the best a component counts
    Buffer centre, inverse;     // (K, Dp): means and, diag, factors; zero beyond column D
    Array<float> who;           // (models, ld): the component of the highest bound
    Buffer best, top, sum;      // (models, ld): its log-density; (ld,)
    Array<int32_t> led;         // rows, by the component that leads there:
    Array<int64_t> led_from;    // (K + 1,) where those of each begin
    Pairs &pairs;               // what may count, and log-densities, which become responsibilities
    Array<double> mass;         // (K,)

  public:
    static bool possible(const Spec &s, const Rows &rows) {
        const bool kind = s.kind == Kind::full || (s.kind == Kind::diag && !s.whitened);
        return kind && s.factor && rows.n >= LEAST && !rows.allowed;
    }

    // Several mixtures may be the columns of one spec, as of `Mixture`. Components of at least the weight `sure` have
    // rows, here or elsewhere, beside which what is next to nothing is nothing.
    Prune(const Spec &s, const real *logweights_, double sure, const int64_t *ends_, int64_t models_, const Rows &rows)
        : WhitenedTile(s, std::clamp<int64_t>(49152 / s.K / 48 * 48, 96, 768)),
          models(models_),
          ends(ends_),
          logweights(logweights_),
          Dp(moments.Dp),
          bounds(s, ld),
          centre(K * Dp),
          inverse(dense ? 0 : K * Dp),
          led_from(K + 1),
          pairs(moments.pairs),
          mass(K) {
        floor.grow(ld), depth.grow(ld), reach.grow(K), who.grow(models * ld), best.grow(models * ld), top.grow(ld),
            sum.grow(ld);
        led.grow(models * size);
        for (int64_t k = 0; k < K; k++)
            reach[k] = logweights[k] >= static_cast<real>(std::log(sure)) ? std::log(LEFT_OUT) : NEGLIGIBLE;
        for (int64_t k = 0; k < K; k++)
            for (int64_t d = 0; d < D; d++) {
                centre[k * Dp + d] = means[k * D + d];
                if (!dense) inverse[k * Dp + d] = factor[k * D + d];
            }
        choose(rows);
    }

    bool pays() const { return looked > 0 && left > 0; }

    // Reads rows, and finds of each, for each model, the component with the highest bound, and its density. False where
    // numbers leave the range: then all components have to be looked at.
    bool look(const Rows &rows, int64_t first, int64_t count) {
        read(rows, {first, nullptr}, count);
        left += most * static_cast<double>(count);
        transposed(moments.rows.data(), Dp, n, looked, x.data(), ld, round_up(n, Bounds::W));
        if (!bounds.fill(x.data(), n)) return false;
        for (int64_t m = 0; m < models; m++) bounds.lead(from(m), ends[m], who + m * ld);
        sort();
        for (int64_t m = 0; m < models; m++) {
            real *of = best + m * ld;
            for (int64_t k = from(m); k < ends[m]; k++) {
                const int64_t j = led_from[k], c = led_from[k + 1] - j;
                exactly(k, led + j, c, pairs.resp + j);
                for (int64_t i = j; i < j + c; i++) of[led[i]] = pairs.resp[i], bounds.of(k)[led[i]] = -INFINITY;
            }
            for (int64_t i = 0; i < n; i++)
                if (!(of[i] > IMPOSSIBLE)) return false;
        }
        return true;
    }

    // Of model m, after those before it, and the rows looked at: their log-likelihoods; responsibilities, times weight,
    // are kept for `add`.
    void share(int64_t m, const real *weight, real *loglik) {
        list(m);
        add_up(m);
        for (int64_t i = 0; i < padded; i += V) {
            const vec z = ::load(sum + i);
            store(loglik + i, ::load(top + i) + vlog(z));
            store(sum + i, ::load(weight + i) / z);
        }
        for (int64_t k = from(m); k < ends[m]; k++) {
            real total = 0;
            for (int64_t j = pairs.begin[k]; j < pairs.begin[k + 1]; j++) total += pairs.resp[j] *= sum[pairs.row[j]];
            mass[k] += static_cast<double>(total);
        }
    }

    void add() { moments.add(); }

    void finish(double *stats, double *counts) {
        for (int64_t k = 0; k < K && counts; k++) counts[k] += mass[k];
        if (stats) WhitenedTile::finish(stats);
    }

  private:
    int64_t from(int64_t m) const { return m ? ends[m - 1] : 0; }

    void read(const Rows &rows, Pick pick, int64_t count) {
        load(rows, pick, count);
        by_rows(moments.rows.data(), Dp);
    }

    // How many columns to look at, by the work that this and what is left take for some of the rows.
    void choose(const Rows &rows) {
        int64_t index[TRIED];
        for (int64_t i = 0; i < TRIED; i++) index[i] = (2 * i + 1) * rows.n / (2 * TRIED);
        read(rows, {0, index}, TRIED);
        Buffer partial;
        partial.grow(K * ld);
        look_at(D, partial);
        for (int64_t m = 0; m < models; m++) {
            real *high = best + m * ld;
            for (int64_t i = 0; i < n; i++) high[i] = -INFINITY;
            for (int64_t k = from(m); k < ends[m]; k++)
                for (int64_t i = 0; i < n; i++) high[i] = std::max(high[i], partial[k * ld + i]);
        }
        const bool products = dense && !spec.whitened;
        const double all = (work(D) - static_cast<double>(products ? D : 0) + 20) * static_cast<double>(K);
        const double exact = (dense ? 1.5 : 2.0) * work(D) + 30.0 * V;
        double least = WORTH * all;
        const int64_t step = dense ? MR : (D + 7) / 8;
        for (int64_t some = step; some <= 3 * D / 4; some += some / (4 * step) * step + step) {
            look_at(some, partial);
            int64_t near = 0;
            for (int64_t m = 0; m < models; m++)
                for (int64_t k = from(m); k < ends[m]; k++)
                    for (int64_t i = 0; i < n; i++) near += partial[k * ld + i] > best[m * ld + i] + reach[k];
            const double bounding = (work(some) + 10) * sizeof(float) / sizeof(real) * static_cast<double>(K);
            const double took = bounding + exact * static_cast<double>(near) / static_cast<double>(n);
            if (took < least) least = took, looked = some, most = (all - bounding) / exact;
        }
        left = 100.0 * static_cast<double>(K);
        if (looked) bounds.look_at(looked, logweights);
    }

    // Vectors for the densities of a component at V rows with some columns, about; a few more are for what follows.
    double work(int64_t some) const {
        const auto d = static_cast<double>(some);
        return dense ? d * (d + 5) / 2 : 2 * d;
    }

    void look_at(int64_t some, Buffer &out) {  // log-densities with weights, as far as some columns go
        transposed(moments.rows.data(), Dp, n, some, x.data(), ld, padded);
        for (int64_t k = 0; k < K; k++)
            in_blocks<3>(padded / V, [&](auto width, int64_t i) {
                densities_at<decltype(width)::value>(k, i * V, some, logweights[k], out + k * ld + i * V);
            });
    }

    void sort() {  // the rows by the component that leads there
        auto leader = [&](int64_t m, int64_t i) { return static_cast<int64_t>(who[m * ld + i]); };
        for (int64_t k = 0; k <= K; k++) led_from[k] = 0;
        for (int64_t m = 0; m < models; m++)
            for (int64_t i = 0; i < n; i++) led_from[leader(m, i)]++;
        for (int64_t k = 0, c = 0; k <= K; k++) c += std::exchange(led_from[k], c);
        for (int64_t m = 0; m < models; m++)
            for (int64_t i = 0; i < n; i++) led[led_from[leader(m, i)]++] = static_cast<int32_t>(i);
        for (int64_t k = K; k > 0; k--) led_from[k] = led_from[k - 1];
        led_from[0] = 0;
    }

    void list(int64_t m) {  // the rows where a component leads, and those where it may be near enough to count
        for (int64_t i = 0; i < bounds.padded; i++) {
            const real b = i < n ? best[m * ld + i] : 0, rounding = bounds.slack + real(1e-6) * std::fabs(b);
            floor[i] = i < n ? static_cast<float>(b + std::log(LEFT_OUT) - rounding) : INFINITY;
            depth[i] = i < n ? static_cast<float>(b + NEGLIGIBLE - rounding) : INFINITY;
        }
        int64_t c = m ? pairs.begin[from(m)] : 0;
        for (int64_t k = from(m); k < ends[m]; k++) {
            pairs.begin[k] = c;
            for (int64_t j = led_from[k]; j < led_from[k + 1]; j++, c++)
                pairs.row[c] = led[j], pairs.resp[c] = best[m * ld + led[j]];
            const int64_t known = c;
            c += bounds.above_floor(k, reach[k] > NEGLIGIBLE ? floor.data() : depth.data(), pairs.row + known);
            exactly(k, pairs.row + known, c - known, pairs.resp + known);
        }
        pairs.begin[ends[m]] = c;
        left -= static_cast<double>(c - pairs.begin[from(m)]);
    }

    // The exponentials of what is listed about the row's largest, in `top`, and their sum.
    void add_up(int64_t m) {
        for (int64_t i = 0; i < padded; i++) top[i] = i < n ? best[m * ld + i] : 0, sum[i] = i < n ? 0 : 1;
        const int64_t first = pairs.begin[from(m)], last = pairs.begin[ends[m]];
        const int32_t *row = pairs.row.data();
        real *l = pairs.resp.data();
        for (int64_t j = first; j < last; j++) top[row[j]] = std::max(top[row[j]], l[j]);
        for (int64_t j = first; j < last; j++) l[j] -= top[row[j]];
        for (int64_t j = first; j < last; j += V) store(l + j, vexp(::load(l + j)));
        for (int64_t j = first; j < last; j++) sum[row[j]] += l[j];
    }

    // Log-densities with weights of component k at some rows.
    void exactly(int64_t k, const int32_t *row, int64_t count, real *to) {
        const real high = static_cast<real>(spec.lognorm[k]) + logweights[k];
        for (int64_t j = 0; j < count && !dense; j++) to[j] = high - real(0.5) * square(k, row[j]);
        for (int64_t j = 0; j < count && dense;) {
            const int64_t here = count - j;
            if (here > 2 * V) some_exactly<3>(k, row + j, here, high, to + j), j += 3 * V;
            else if (here > V) some_exactly<2>(k, row + j, here, high, to + j), j += 2 * V;
            else some_exactly<1>(k, row + j, here, high, to + j), j += V;
        }
    }

    real square(int64_t k, int64_t i) const {  // of the distance in deviations, diag
        const real *row = moments.rows + i * Dp, *mu = centre + k * Dp, *f = inverse + k * Dp;
        vec q{};
        for (int64_t d = 0; d < Dp; d += V) {
            const vec y = (::load(row + d) - ::load(mu + d)) * ::load(f + d);
            q += y * y;
        }
        return everywhere(q)[0];
    }

    template <int NR>
    void some_exactly(int64_t k, const int32_t *row, int64_t left_, real high, real *to) {
        const int64_t here = std::min<int64_t>(NR * V, left_);
        for (int j = 0; j < NR; j++)
            for (int64_t d = 0; d < Dp; d += V) {
                const vec mu = ::load(centre + k * Dp + d);
                vec r[V];
#pragma GCC unroll 16
                for (int64_t v = 0; v < V; v++) {
                    const int64_t at = std::min<int64_t>(j * V + v, here - 1);
                    r[v] = ::load(moments.rows + row[at] * Dp + d) - mu;
                }
                transpose(r);
#pragma GCC unroll 16
                for (int64_t v = 0; v < V; v++) store(diff + ((d + v) * NR + j) * V, r[v]);
            }
        vec q[NR];
        distances<NR>(k, D, q);
        for (int j = 0; j < NR; j++)
            for (int64_t v = 0; v < V && j * V + v < here; v++) to[j * V + v] = high - real(0.5) * q[j][v];
    }
};

}  // namespace
