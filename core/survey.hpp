// The validating pass over the data: range, mean and squared deviations of each column.
#pragma once
#include <algorithm>

#include "simd/vec.hpp"

namespace {

constexpr int64_t SURVEYED = 256;  // rows at a time: they stay in L1, where they are read three times

// Sums over rows. Several rows at a time (`wide` of them) are one long row, so that few columns fill registers too.
template <class T>
class Survey {
    const T *X;
    const double *weight;  // (n,) or null
    const int64_t D, wide, F;
    Array<double> low, high, used_low, used_high, sum, odd;  // (F,) each

    template <class Visit>
    void each(int64_t first, int64_t n, Visit &&visit) const {
        int64_t i = 0;
        for (; i + wide <= n; i += wide) visit(X + (first + i) * D, weight ? weight[first + i] : 1.0, F);
        for (; i < n; i++) visit(X + (first + i) * D, weight ? weight[first + i] : 1.0, D);
    }

    void fold(Array<double> &x) {  // long rows as one row
        for (int64_t f = D; f < F; f++) x[f % D] += x[f];
    }

    void extend(const T *x, double w, int64_t size) {
        for (int64_t f = 0; f < size; f++) {
            const double y = static_cast<double>(x[f]);
            low[f] = y < low[f] ? y : low[f];
            high[f] = y > high[f] ? y : high[f];
            odd[f] += y * 0;
        }
        if (weight && w > 0)
            for (int64_t f = 0; f < size; f++) {
                const double y = static_cast<double>(x[f]);
                used_low[f] = y < used_low[f] ? y : used_low[f];
                used_high[f] = y > used_high[f] ? y : used_high[f];
            }
    }

  public:
    Survey(const T *X_, const double *weight_, int64_t D_)
        : X(X_),
          weight(weight_),
          D(D_),
          wide(weight || D >= 64 ? 1 : 64 / D),
          F(wide * D),
          low(F),
          high(F),
          used_low(F),
          used_high(F),
          sum(F),
          odd(F) {
        for (int64_t f = 0; f < F; f++) low[f] = used_low[f] = INFINITY, high[f] = used_high[f] = -INFINITY;
    }

    // Means and squared deviations of parts are put together as Chan, Golub & LeVeque 1979 do.
    bool run(int64_t n, double *mass, double *out) {
        double *mean = out + 4 * D, *second = out + 5 * D, total = 0;
        Array<double> centre(F);
        for (int64_t first = 0; first < n; first += SURVEYED) {
            const int64_t rows = std::min(SURVEYED, n - first);
            double part = 0;
            for (int64_t i = 0; i < rows; i++) part += weight ? weight[first + i] : 1.0;
            each(first, rows, [&](const T *x, double w, int64_t size) { extend(x, w, size); });
            if (part == 0) continue;
            int64_t some = first;  // a row that counts: sums are about it, so that an offset costs no digits
            while (weight && weight[some] == 0) some++;
            for (int64_t f = 0; f < F; f++) centre[f] = static_cast<double>(X[some * D + f % D]), sum[f] = 0;
            each(first, rows, [&](const T *x, double w, int64_t size) {
                for (int64_t f = 0; f < size && w > 0; f++) sum[f] += w * (static_cast<double>(x[f]) - centre[f]);
            });
            fold(sum);
            for (int64_t f = 0; f < F; f++) centre[f] += sum[f % D] / part;
            for (int64_t f = 0; f < F; f++) sum[f] = 0;
            each(first, rows, [&](const T *x, double w, int64_t size) {
                for (int64_t f = 0; f < size && w > 0; f++) {
                    const double d = static_cast<double>(x[f]) - centre[f];
                    sum[f] += w * d * d;
                }
            });
            fold(sum);
            for (int64_t d = 0; d < D; d++) {
                const double apart = centre[d] - mean[d];
                second[d] += sum[d] + apart * apart * (total * part / (total + part));
                mean[d] += apart * (part / (total + part));
            }
            total += part;
        }
        *mass = total;
        bool finite = true;
        for (int64_t d = 0; d < D; d++) {
            out[d] = out[2 * D + d] = INFINITY, out[D + d] = out[3 * D + d] = -INFINITY;
            for (int64_t f = d; f < F; f += D) {
                finite = finite && odd[f] == 0;
                out[d] = std::min(out[d], low[f]), out[D + d] = std::max(out[D + d], high[f]);
                out[2 * D + d] = std::min(out[2 * D + d], weight ? used_low[f] : low[f]);
                out[3 * D + d] = std::max(out[3 * D + d], weight ? used_high[f] : high[f]);
            }
        }
        return finite;
    }
};

bool survey(const Rows &rows, double *mass, double *out) {
    const auto go = [&](auto *X) {
        return Survey<std::remove_cvref_t<decltype(*X)>>(X, rows.weight, rows.D).run(rows.n, mass, out);
    };
    if (rows.dtype == estep::Dtype::f64) return go(static_cast<const double *>(rows.data));
    if (rows.dtype == estep::Dtype::f32) return go(static_cast<const float *>(rows.data));
    return go(static_cast<const int32_t *>(rows.data));
}

}  // namespace
