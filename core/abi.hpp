// What crosses the border between Python and the kernels: plain structs, no code.
#pragma once
#include <cstdint>

namespace estep {

// How a family's densities are computed and how its statistics are laid out.
//   table               statistics (K, M)             log b = sum over columns of table[x_d, k]
//   linear              (K, 1 + D)                    features [1, x]
//   diag                (K, 1 + 2 D)                  features [1, x, x^2]
//   spherical           (K, 2 + D)                    features [1, x, |x|^2]
//   full                (K, (D + 1)(D + 2) / 2)       features [1, x, x_i x_j (i <= j)]
//   tied                (K, 1 + D) then D (D + 1) / 2 features [1, x], one x'Px for all components
//   dense               none                          the rows are the log-densities themselves
//   mixed               (K, M), then those of `parts` log b = log sum_m exp(weights[k, m] + log b of part k M + m)
//   student             (K,), (K,), then those of `parts`: mass, log u - u + weights[k, 4] and moments weighted by u
//                       log b = weights[k, 1] - weights[k, 3] log(1 + d / weights[k, 2]), where weights[k, 0] - d / 2
//                       is the log-density of the Gaussian part k, and u = (weights[k, 2] + D) / (weights[k, 2] + d)
enum class Kind : int { dense, table, linear, diag, spherical, full, tied, mixed, student, product };

struct Spec {
    Kind kind;
    bool whitened;                         // Gaussian kinds: differences from each mean instead of features
    bool counts;                           // linear: add each row's Poisson log-probabilities at the rates `shared`
    int64_t K, D, M;                       // components, columns, symbols (mixed: parts of a component)
    const double *weights;                 // features: (F, K); table: (M, K) logs; mixed: (K, M) logs; student: (K, 5)
    const double *shared;                  // tied features: weights of x_i x_j (i <= j); counts: (D,) rates
    const double *origin;                  // (D,) subtracted from the rows first
    const double *means;                   // whitened: (K, D) about the origin
    const double *factor;                  // whitened: (K, D) inverse deviations, or (K, D, D) inverse Cholesky factors
    const double *lognorm;                 // whitened: (K,) log-density at the mean
    const Spec *parts;                     // mixed: the K M parts; student: the K Gaussians
    const Spec *const *members = nullptr;  // product: what sees the columns one after the other
    const int64_t *sizes = nullptr;        // product: lengths of their statistics
    int64_t n_parts = 0;
};

enum class Dtype : int { f64, f32, i32 };

struct Rows {
    const void *data;  // (n, D) row-major
    Dtype dtype;
    int64_t n, D;
    const double *weight;              // (n,) or null; chains: per sequence
    const uint8_t *allowed = nullptr;  // (n, K): which states a row may have; null: all
};

struct MixtureOut {  // any pointer may be null
    double *counts;  // (K,) added to
    double *stats;   // added to
    double *totals;  // (models,) weighted log-likelihoods added to
    double *loglik;  // (n, models) per row
    double *resp;    // (n, K), times the row's weight
};

struct Chain {
    int64_t K;
    const double *start, *trans;  // (K,), (K, K)
    const int64_t *ends;          // (S,) first row after each sequence
    int64_t S;
    // A chunk of one long sequence: rows before and after it that only warm up, whether the first and the last row
    // given are those of the sequence, and messages (K,) in logs, where known: the filtered distribution at the row
    // before the chunk and, up to a factor, the likelihood of all rows after it.
    int64_t head = 0, tail = 0;
    bool begins = true, closes = true;
    const double *left = nullptr, *right = nullptr;
    bool logs = false;  // all in log space
    int64_t next = -1;  // for the most probable path: the state after the chunk, where known
};

struct ChainOut {           // any pointer but loglik and failed may be null
    double *start, *trans;  // (K,), (K, K) added to
    double *stats;          // added to
    double *loglik;         // (S,), of a chunk given what comes before
    double *gamma;          // (n, K), times the sequence's weight
    double *messages;       // chunks: (4, K) logs: left and right as used; filtered at the last row, and the
                            // likelihood of the chunk and all after it given the state at the row before
    bool *failed;           // (S,) single precision: sequences to be done in double; nothing was added for them
};

// Rows (n, D) in R runs, each lacking the columns d where `seen` (R, D) is 0; run r ends before row starts[r + 1].
struct Gaps {
    const double *X;
    const int64_t *starts;
    const uint8_t *seen;
    const double *means;    // (K, D)
    const double *factors;  // (K, D, D): factor' factor is the precision
    int64_t R, K, D;
};

struct Kernels {  // of one instruction set; single precision has the first five alone
    void (*accumulate)(const Spec &, const Rows &, const double *resp, double *stats);
    void (*mixture)(const Spec &, const int64_t *ends, int64_t models, const double *logweights, double sure,
                    const Rows &, const MixtureOut &);
    void (*chain)(const Spec &, const Chain &, const Rows &, const ChainOut &);
    void (*log_densities)(const Spec &, const Rows &, double *out) = nullptr;
    void (*viterbi)(const Spec &, const Chain &, const Rows &, int32_t *path, double *logprob,
                    double *ends) =
        nullptr;  // ends: chunks: (2, K) scores before the first row as used, at the last row
    // Whether all rows are finite; their weight; (6, D), zero at first: low, high, both of the rows with a positive
    // weight alone, then mean and weighted squared deviations of these.
    bool (*survey)(const Rows &, double *mass, double *out) = nullptr;
    void (*draw)(const Spec &, const Chain &, const Rows &, const double *u, int32_t *path) = nullptr;  // u uniform
    void (*filter)(const Spec &, const Chain &, const Rows &, double *out, double *messages) = nullptr;
    void *(*open_stream)(const Spec &, const double *trans) = nullptr;  // a filter for one row after the other
    void (*stream_row)(void *, const double *reach, const double *row, double *out) = nullptr;
    void (*close_stream)(void *) = nullptr;
    void (*missing_distances)(const Gaps &, double *dist, double *logdet) = nullptr;
    void (*missing_moments)(const Gaps &, const double *weight, const double *times, double *mass, double *first,
                            double *second) = nullptr;
};

[[noreturn]] void out_of_memory();

}  // namespace estep

extern "C" {
const estep::Kernels *estep_kernels_baseline();
const estep::Kernels *estep_kernels_baseline_single();
const estep::Kernels *estep_kernels_v3();
const estep::Kernels *estep_kernels_v3_single();
const estep::Kernels *estep_kernels_v4();
const estep::Kernels *estep_kernels_v4_single();
}
