// What Python calls: checks shapes, releases the GIL, calls the kernels of the level asked for.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <new>
#include <thread>

#include "bind/spec.hpp"
#include "gaussian/climb.hpp"
#include "gaussian/m_step.hpp"

void estep::out_of_memory() { throw std::bad_alloc(); }

namespace {

// The GIL is free while this lives. A thread that comes back when the interpreter has gone waits for the process to
// end: Python would end it by unwinding its stack, which aborts where a frame lets nothing pass.
class Unlocked {
    PyThreadState *const state;

  public:
    explicit Unlocked(bool worth_it = true) : state(worth_it ? PyEval_SaveThread() : nullptr) {}
    Unlocked(const Unlocked &) = delete;
    Unlocked &operator=(const Unlocked &) = delete;
    ~Unlocked() {
        try {
            if (state) PyEval_RestoreThread(state);
        } catch (...) {
            for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
        }
    }
};
constexpr int64_t LONG = 100'000;  // multiply-adds from which on a short call frees the GIL

const Kernels &kernels(const std::string &level, bool single = false) {
    if (level == "baseline") return single ? *estep_kernels_baseline_single() : *estep_kernels_baseline();
#if defined(ESTEP_X86)
    if (level == "v3") return single ? *estep_kernels_v3_single() : *estep_kernels_v3();
    if (level == "v4") return single ? *estep_kernels_v4_single() : *estep_kernels_v4();
#endif
    throw nb::value_error(("no kernels named " + level).c_str());
}

std::vector<std::string> levels() {  // those this processor runs, the best last
    std::vector<std::string> out{"baseline"};
#if defined(ESTEP_X86)
    __builtin_cpu_init();
    const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
    if (v3) out.push_back("v3");
    if (v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd"))
        out.push_back("v4");
#endif
    return out;
}

Rows any_rows(const Data &x, const MaybeDoubles &weight, int64_t weights) {
    require(x.ndim() == 2, "X");
    Rows rows{x.data(), Dtype::f64, static_cast<int64_t>(x.shape(0)), static_cast<int64_t>(x.shape(1)), nullptr};
    if (x.dtype() == nb::dtype<float>()) rows.dtype = Dtype::f32;
    else if (x.dtype() == nb::dtype<int32_t>()) rows.dtype = Dtype::i32;
    else require(x.dtype() == nb::dtype<double>(), "dtype of X");
    require(reinterpret_cast<uintptr_t>(x.data()) % (rows.dtype == Dtype::f64 ? 8 : 4) == 0, "alignment of X");
    if (weight) {
        require(static_cast<int64_t>(weight->size()) == weights, "weights");
        rows.weight = weight->data();
    }
    return rows;
}

Rows make_rows(const Spec &s, const Data &x, const MaybeDoubles &weight, int64_t weights, const MaybeBytes &allowed) {
    Rows rows = any_rows(x, weight, weights);
    if (allowed) {
        require(static_cast<int64_t>(allowed->size()) == rows.n * s.K, "allowed");
        rows.allowed = allowed->data();
    }
    require(rows.D == s.D, "X");
    const Kind kind = s.kind == Kind::mixed ? s.parts->kind : s.kind;
    require((rows.dtype == Dtype::i32) == (kind == Kind::table), "dtype of X");
    require((kind != Kind::dense && kind != Kind::product) || rows.dtype == Dtype::f64, "dtype of X");
    if (s.kind == Kind::dense) {  // comparisons of the kernels drop a NaN
        const double *logs = static_cast<const double *>(rows.data);
        for (int64_t i = 0; i < rows.n * rows.D; i++) require(logs[i] < INFINITY, "log-densities: NaN or infinite");
    }
    return rows;
}

Chain make_chain(const Spec &s, const Doubles &start, const Doubles &trans, const Integers &ends, int64_t n,
                 const std::optional<Halo> &halo, const MaybeDoubles &left, const MaybeDoubles &right,
                 int64_t next = -1) {
    require(static_cast<int64_t>(start.size()) == s.K && static_cast<int64_t>(trans.size()) == s.K * s.K, "chain");
    const int64_t S = static_cast<int64_t>(ends.size());
    int64_t last = 0;
    for (int64_t i = 0; i < S; i++) {
        require(ends.data()[i] >= last, "ends");
        last = ends.data()[i];
    }
    require(last == n, "ends");
    Chain c;
    c.K = s.K, c.start = start.data(), c.trans = trans.data(), c.ends = ends.data(), c.S = S;
    require(next >= -1 && next < s.K, "next");
    require(halo || (!left && !right && next < 0), "halo");
    c.next = next;
    if (!halo) return c;
    std::tie(c.head, c.tail, c.begins, c.closes) = *halo;
    require(S == 1 && c.head >= 0 && c.head < n && c.tail >= 0 && c.tail < n - c.head, "halo");
    require(!left || static_cast<int64_t>(left->size()) == s.K, "left");
    require(!right || static_cast<int64_t>(right->size()) == s.K, "right");
    if (left) c.left = left->data();
    if (right) c.right = right->data();
    return c;
}

double *pointer(const MaybeOut &a, int64_t size, const char *what) {
    if (!a) return nullptr;
    require(static_cast<int64_t>(a->size()) == size, what);
    return a->data();
}

// What single precision left of a call, one sequence at a time, in double.
void redo(const std::string &level, const Spec &spec, const Chain &c, const Rows &rows, const ChainOut &out) {
    const int64_t size = rows.dtype == Dtype::f64 ? 8 : 4;
    for (int64_t s = 0; s < c.S; s++) {
        if (!out.failed[s]) continue;
        const int64_t first = s ? c.ends[s - 1] : 0, length = c.ends[s] - first;
        Chain one = c;
        Rows mine = rows;
        ChainOut to = out;
        one.ends = &length, one.S = 1, mine.n = length;
        mine.data = static_cast<const char *>(rows.data) + first * rows.D * size;
        if (rows.weight) mine.weight = rows.weight + s;
        if (rows.allowed) mine.allowed = rows.allowed + first * c.K;
        to.loglik = out.loglik + s;
        if (out.gamma) to.gamma = out.gamma + first * c.K;
        kernels(level).chain(spec, one, mine, to);
    }
}

void log_densities(const std::string &level, const OwnedSpec &o, const Data &x, const Out &out) {
    const Rows rows = make_rows(o.spec, x, std::nullopt, 0, std::nullopt);
    require(static_cast<int64_t>(out.size()) == rows.n * o.spec.K, "out");
    const Unlocked unlocked;
    kernels(level).log_densities(o.spec, rows, out.data());
}

void accumulate(const std::string &level, const OwnedSpec &o, const Data &x, const Doubles &resp, const Out &stats) {
    const Rows rows = make_rows(o.spec, x, std::nullopt, 0, std::nullopt);
    require(static_cast<int64_t>(resp.size()) == rows.n * o.spec.K, "resp");
    require(static_cast<int64_t>(stats.size()) == statistics_size(o.spec), "stats");
    const Unlocked unlocked;
    kernels(level, o.single).accumulate(o.spec, rows, resp.data(), stats.data());
}

void mixture(const std::string &level, const OwnedSpec &o, const Doubles &logweights, const Data &x,
             const MaybeDoubles &weight, const MaybeOut &counts, const MaybeOut &stats, const MaybeOut &totals,
             const MaybeOut &loglik, const MaybeOut &resp, const std::optional<Integers> &groups,
             const MaybeBytes &allowed, double sure) {
    require(x.ndim() == 2, "X");
    const int64_t K = o.spec.K, n = static_cast<int64_t>(x.shape(0));
    const int64_t models = groups ? static_cast<int64_t>(groups->size()) : 1;
    const int64_t *ends = groups ? groups->data() : &K;
    for (int64_t m = 0; m < models; m++) require(ends[m] > (m ? ends[m - 1] : 0), "ends");
    require(models > 0 && ends[models - 1] == K, "ends");
    const Rows rows = make_rows(o.spec, x, weight, n, allowed);
    require(static_cast<int64_t>(logweights.size()) == K, "logweights");
    const MixtureOut out{pointer(counts, K, "counts"), pointer(stats, statistics_size(o.spec), "stats"),
                         pointer(totals, models, "totals"), pointer(loglik, n * models, "loglik"),
                         pointer(resp, n * K, "resp")};
    const Unlocked unlocked;
    kernels(level, o.single).mixture(o.spec, ends, models, logweights.data(), sure, rows, out);
}

void chain(const std::string &level, const OwnedSpec &o, const Doubles &start, const Doubles &trans,
           const Integers &ends, const Data &x, const MaybeDoubles &weight, const Out &loglik,
           const MaybeOut &start_counts, const MaybeOut &trans_counts, const MaybeOut &stats, const MaybeOut &gamma,
           const std::optional<Halo> &halo, const MaybeDoubles &left, const MaybeDoubles &right,
           const MaybeOut &messages, bool logs, const MaybeBytes &allowed) {
    const int64_t K = o.spec.K, S = static_cast<int64_t>(ends.size());
    const Rows rows = make_rows(o.spec, x, weight, S, allowed);
    Chain c = make_chain(o.spec, start, trans, ends, rows.n, halo, left, right);
    c.logs = logs;
    require(c.begins || c.head > 0 || left, "halo: rows before the chunk, or left");
    require(c.closes || c.tail > 0 || right, "halo: rows after the chunk, or right");
    require(static_cast<int64_t>(loglik.size()) == S, "loglik");
    require(!messages || (S == 1 && rows.n > 0), "messages");
    const auto failed = std::make_unique<bool[]>(static_cast<size_t>(S) + 1);
    const ChainOut out{pointer(start_counts, K, "start"),
                       pointer(trans_counts, K * K, "trans"),
                       pointer(stats, statistics_size(o.spec), "stats"),
                       loglik.data(),
                       pointer(gamma, rows.n * K, "gamma"),
                       pointer(messages, 4 * K, "messages"),
                       failed.get()};
    const Unlocked unlocked;
    kernels(level, o.single).chain(o.spec, c, rows, out);
    redo(level, o.spec, c, rows, out);
}

void viterbi(const std::string &level, const OwnedSpec &o, const Doubles &start, const Doubles &trans,
             const Integers &ends, const Data &x, nb::ndarray<int32_t, nb::c_contig, nb::device::cpu> path,
             const Out &logprob, const std::optional<Halo> &halo, const MaybeDoubles &left, int64_t next,
             const MaybeOut &scores, const MaybeBytes &allowed) {
    const Rows rows = make_rows(o.spec, x, std::nullopt, 0, allowed);
    const Chain c = make_chain(o.spec, start, trans, ends, rows.n, halo, left, std::nullopt, next);
    require(static_cast<int64_t>(path.size()) == rows.n && static_cast<int64_t>(logprob.size()) == c.S, "path");
    require(!scores || (c.S == 1 && rows.n > 0), "scores");
    double *out = pointer(scores, 2 * c.K, "scores");
    const Unlocked unlocked;
    kernels(level).viterbi(o.spec, c, rows, path.data(), logprob.data(), out);
}

void draw(const std::string &level, const OwnedSpec &o, const Doubles &start, const Doubles &trans,
          const Integers &ends, const Data &x, const Doubles &u,
          nb::ndarray<int32_t, nb::c_contig, nb::device::cpu> path, const std::optional<Halo> &halo,
          const MaybeDoubles &left, int64_t next, const MaybeBytes &allowed) {
    const Rows rows = make_rows(o.spec, x, std::nullopt, 0, allowed);
    const Chain c = make_chain(o.spec, start, trans, ends, rows.n, halo, left, std::nullopt, next);
    require(static_cast<int64_t>(u.size()) == rows.n && static_cast<int64_t>(path.size()) == rows.n, "path");
    const Unlocked unlocked;
    kernels(level).draw(o.spec, c, rows, u.data(), path.data());
}

void filter(const std::string &level, const OwnedSpec &o, const Doubles &start, const Doubles &trans,
            const Integers &ends, const Data &x, const Out &filtered, const std::optional<Halo> &halo,
            const MaybeDoubles &left, const MaybeOut &messages, const MaybeBytes &allowed) {
    const Rows rows = make_rows(o.spec, x, std::nullopt, 0, allowed);
    const Chain c = make_chain(o.spec, start, trans, ends, rows.n, halo, left, std::nullopt);
    require(static_cast<int64_t>(filtered.size()) == rows.n * c.K, "filtered");
    require(!messages || c.S == 1, "messages");
    double *out = pointer(messages, 4 * c.K, "messages");
    const Unlocked unlocked;
    kernels(level).filter(o.spec, c, rows, filtered.data(), out);
}

// What is known of the state of a sequence, row by row.
class Stream {
    const Kernels &of;
    const int64_t K, D;
    std::vector<double> trans, reach;
    void *const kept;

  public:
    Stream(const std::string &level, const OwnedSpec &o, const Doubles &trans_)
        : of(kernels(level)),
          K(o.spec.K),
          D(o.spec.D),
          trans(trans_.data(), trans_.data() + trans_.size()),
          reach(static_cast<size_t>(o.spec.K)),
          kept(ready(o.spec, trans_) ? of.open_stream(o.spec, trans.data()) : nullptr) {
        if (!kept) throw std::bad_alloc();
    }
    Stream(const Stream &) = delete;
    Stream &operator=(const Stream &) = delete;
    ~Stream() { of.close_stream(kept); }

    // The distribution (K,) before the first row is `reach`; that of a row, moved on, before the next.
    void begin(const Doubles &p) {
        require(static_cast<int64_t>(p.size()) == K, "reach");
        std::copy_n(p.data(), K, reach.data());
    }
    void resume(const Doubles &p) {
        require(static_cast<int64_t>(p.size()) == K, "filtered");
        move_on(p.data());
    }

    // Fills out (K,); whether the row is possible: if not, nothing is changed.
    bool update(const Doubles &row, const Out &out) {
        require(static_cast<int64_t>(row.size()) == D && static_cast<int64_t>(out.size()) == K, "row");
        of.stream_row(kept, reach.data(), row.data(), out.data());
        if (std::isnan(out.data()[0])) return false;
        move_on(out.data());
        return true;
    }

  private:
    bool ready(const Spec &s, const Doubles &moves) const {
        require(static_cast<int64_t>(moves.size()) == s.K * s.K, "trans");
        require(s.kind != Kind::table && s.kind != Kind::dense && s.kind != Kind::product, "spec");
        require(s.kind != Kind::mixed || s.parts->kind != Kind::table, "spec");
        return true;
    }
    void move_on(const double *p) {
        for (int64_t j = 0; j < K; j++) reach[j] = 0;
        for (int64_t i = 0; i < K; i++)
            for (int64_t j = 0; j < K; j++) reach[j] += p[i] * trans[i * K + j];
    }
};

std::tuple<bool, double> survey_rows(const std::string &level, const Data &x, const MaybeDoubles &weight,
                                     const Out &out) {
    require(x.ndim() == 2, "X");
    const Rows rows = any_rows(x, weight, static_cast<int64_t>(x.shape(0)));
    require(rows.D > 0 && static_cast<int64_t>(out.size()) == 6 * rows.D, "out");
    double mass = 0;
    const Unlocked unlocked;
    const bool finite = kernels(level).survey(rows, &mass, out.data());
    return {finite, mass};
}

Gaps make_gaps(const Doubles &x, const Integers &starts, const Bytes &seen, const Doubles &means,
               const Doubles &factors) {
    require(x.ndim() == 2 && means.ndim() == 2 && starts.size() > 0, "X");
    Gaps g;
    g.X = x.data(), g.starts = starts.data(), g.seen = seen.data();
    g.means = means.data(), g.factors = factors.data();
    g.R = static_cast<int64_t>(starts.size()) - 1, g.D = static_cast<int64_t>(x.shape(1));
    g.K = static_cast<int64_t>(means.shape(0));
    require(static_cast<int64_t>(means.shape(1)) == g.D && g.D > 0 && g.K > 0, "means");
    require(static_cast<int64_t>(factors.size()) == g.K * g.D * g.D, "factors");
    require(static_cast<int64_t>(seen.size()) == g.R * g.D, "seen");
    require(g.starts[0] == 0 && g.starts[g.R] == static_cast<int64_t>(x.shape(0)), "starts");
    for (int64_t r = 0; r < g.R; r++) require(g.starts[r] <= g.starts[r + 1], "starts");
    return g;
}

void missing_distances(const std::string &level, const Doubles &x, const Integers &starts, const Bytes &seen,
                       const Doubles &means, const Doubles &factors, const Out &dist, const Out &logdet) {
    const Gaps g = make_gaps(x, starts, seen, means, factors);
    require(static_cast<int64_t>(dist.size()) == static_cast<int64_t>(x.shape(0)) * g.K, "dist");
    require(static_cast<int64_t>(logdet.size()) == g.R * g.K, "logdet");
    const Unlocked unlocked;
    kernels(level).missing_distances(g, dist.data(), logdet.data());
}

void missing_moments(const std::string &level, const Doubles &x, const Integers &starts, const Bytes &seen,
                     const Doubles &means, const Doubles &factors, const Doubles &weight, const Doubles &times,
                     const Out &mass, const Out &first, const Out &second) {
    const Gaps g = make_gaps(x, starts, seen, means, factors);
    require(static_cast<int64_t>(weight.size()) == static_cast<int64_t>(x.shape(0)) * g.K, "weight");
    require(static_cast<int64_t>(times.size()) == g.R * g.K, "times");
    require(static_cast<int64_t>(mass.size()) == g.K && static_cast<int64_t>(first.size()) == g.K * g.D, "moments");
    require(static_cast<int64_t>(second.size()) == g.K * g.D * g.D, "second");
    const Unlocked unlocked;
    kernels(level).missing_moments(g, weight.data(), times.data(), mass.data(), first.data(), second.data());
}

bool factorise_all(const Doubles &C, const Out &inverse, const Out &logdet) {
    require(C.ndim() == 3 && C.shape(1) == C.shape(2), "covariances");
    require(inverse.size() == C.size() && logdet.size() == C.shape(0), "factors");
    const auto n = static_cast<int64_t>(C.shape(0)), D = static_cast<int64_t>(C.shape(1));
    const Unlocked unlocked(n * D * D * D > LONG);
    return estep::factorise(n, D, C.data(), inverse.data(), logdet.data());
}

Normals make_normals(const Doubles &moments, const Doubles &means, const Doubles &squares) {
    require(means.ndim() == 2 && moments.ndim() == 2 && moments.shape(0) == means.shape(0), "means");
    const Normals n{static_cast<int64_t>(means.shape(0)), static_cast<int64_t>(means.shape(1)), squares.ndim() == 2};
    require(squares.size() == means.size() * (n.diag ? 1 : means.shape(1)), "covariances");
    require(static_cast<int64_t>(moments.shape(1)) == n.features(), "moments");
    return n;
}

bool normals(const Doubles &moments, const Doubles &rows, double nothing, const Doubles &origin,
             const MaybeDoubles &floor, double relative, const Out &means, const Out &covariances, const Out &inverse,
             const Out &logdet) {
    const Normals n = make_normals(moments, Doubles(means), Doubles(covariances));
    require(rows.size() == means.shape(0) && logdet.size() == means.shape(0), "rows");
    require(origin.size() == means.shape(1) && (!floor || floor->size() == means.shape(1)), "origin");
    require(inverse.size() == covariances.size(), "factors");
    const Unlocked unlocked(n.K * n.features() * n.D > LONG);
    return n.maximize(moments.data(), rows.data(), nothing, origin.data(), floor ? floor->data() : nullptr, relative,
                      means.data(), covariances.data(), inverse.data(), logdet.data());
}

double quadratic(const Doubles &mu, const Doubles &inverse, const Doubles &height, const Doubles &radius,
                 const Out &weights) {
    const Normals n = make_normals(Doubles(weights), mu, inverse);
    require(height.size() == mu.shape(0) && radius.size() == mu.shape(1), "heights");
    const Unlocked unlocked(n.K * n.features() * n.D > LONG);
    return n.quadratic(mu.data(), inverse.data(), height.data(), radius.data(), weights.data());
}

int64_t climb_steps(const std::string &level, const Data &x, const MaybeDoubles &weight, const MaybeBytes &allowed,
                    const Doubles &origin, const Doubles &radius, const MaybeDoubles &floor,
                    const std::tuple<double, double, double, double, double> &limits, const Doubles &weights,
                    const Doubles &means, const Doubles &inverse, const Doubles &logdet, const Out &loglik,
                    const Out &counts, const Out &to_means, const Out &to_covariances, const Out &to_inverse,
                    const Out &to_logdet) {
    require(means.ndim() == 2 && (inverse.ndim() == 2 || inverse.ndim() == 3), "means");
    const Normals n{static_cast<int64_t>(means.shape(0)), static_cast<int64_t>(means.shape(1)), inverse.ndim() == 2};
    const auto steps = static_cast<int64_t>(loglik.size()), K = n.K, D = n.D, squares = K * D * (n.diag ? 1 : D);
    const auto sized = [](const auto &a, int64_t size) { return static_cast<int64_t>(a.size()) == size; };
    Rows rows = any_rows(x, weight, static_cast<int64_t>(x.shape(0)));
    require(rows.D == D && rows.dtype == Dtype::f64, "X");
    require(!allowed || sized(*allowed, rows.n * K), "allowed");
    if (allowed) rows.allowed = allowed->data();
    require(sized(origin, D) && sized(radius, D) && (!floor || sized(*floor, D)), "origin");
    require(sized(weights, K) && sized(inverse, squares) && sized(logdet, K), "parameters");
    require(sized(counts, steps * K) && sized(to_means, steps * K * D) && sized(to_logdet, steps * K), "results");
    require(sized(to_covariances, steps * squares) && sized(to_inverse, steps * squares), "results");
    const auto [nothing, relative, size, sure, hardly] = limits;
    const ClimbLimits within{nothing, relative, floor ? floor->data() : nullptr, size, sure, hardly};
    const Climb out{loglik.data(),         counts.data(),     to_means.data(),
                    to_covariances.data(), to_inverse.data(), to_logdet.data()};
    const Unlocked unlocked;
    return estep::climb(kernels(level), n, rows, origin.data(), radius.data(), weights.data(), means.data(),
                        inverse.data(), logdet.data(), within, steps, out);
}

}  // namespace

NB_MODULE(_core, m) {
    nb::set_leak_warnings(false);  // of threads that are still at work when the interpreter goes
    m.doc() = "The compiled kernels; estep.kernels gives them their Python face.";
    const auto in = [](const char *name) { return nb::arg(name); };
    const auto maybe = [](const char *name) { return nb::arg(name).none(); };
    const auto out = [](const char *name) { return nb::arg(name).noconvert(); };  // a converted copy would be filled
    const auto maybe_out = [](const char *name) { return nb::arg(name).noconvert().none(); };
    nb::class_<OwnedSpec>(m, "Spec").def(
        nb::init<int, bool, bool, bool, int64_t, int64_t, int64_t, MaybeDoubles, MaybeDoubles, MaybeDoubles,
                 MaybeDoubles, MaybeDoubles, MaybeDoubles, const OwnedSpec *, const std::vector<const OwnedSpec *> &>(),
        in("kind"), in("whitened"), in("counts"), in("single"), in("K"), in("D"), in("M"), maybe("weights"),
        maybe("shared"), maybe("origin"), maybe("means"), maybe("factor"), maybe("lognorm"), maybe("parts"),
        in("members"), nb::keep_alive<1, 15>(), nb::keep_alive<1, 16>());
    nb::class_<Stream>(m, "Stream")
        .def(nb::init<const std::string &, const OwnedSpec &, const Doubles &>(), in("level"), in("spec"), in("trans"),
             nb::keep_alive<1, 3>())
        .def("begin", &Stream::begin, in("reach"))
        .def("resume", &Stream::resume, in("filtered"))
        .def("update", &Stream::update, in("row"), out("out"));
    m.def("levels", &levels);
    m.def("log_densities", &log_densities, in("level"), in("spec"), in("X"), out("out"));
    m.def("accumulate", &accumulate, in("level"), in("spec"), in("X"), in("resp"), out("stats"));
    m.def("mixture", &mixture, in("level"), in("spec"), in("logweights"), in("X"), maybe("weight"), maybe_out("counts"),
          maybe_out("stats"), maybe_out("totals"), maybe_out("loglik"), maybe_out("resp"), in("ends") = nb::none(),
          in("allowed") = nb::none(), in("sure") = 0.0);
    m.def("chain", &chain, in("level"), in("spec"), in("start"), in("trans"), in("ends"), in("X"), maybe("weight"),
          out("loglik"), maybe_out("start_counts"), maybe_out("trans_counts"), maybe_out("stats"), maybe_out("gamma"),
          in("halo") = nb::none(), in("left") = nb::none(), in("right") = nb::none(), out("messages") = nb::none(),
          in("logs") = false, in("allowed") = nb::none());
    m.def("viterbi", &viterbi, in("level"), in("spec"), in("start"), in("trans"), in("ends"), in("X"), out("path"),
          out("logprob"), in("halo") = nb::none(), in("left") = nb::none(), in("next") = -1, out("scores") = nb::none(),
          in("allowed") = nb::none());
    m.def("draw", &draw, in("level"), in("spec"), in("start"), in("trans"), in("ends"), in("X"), in("u"), out("path"),
          in("halo") = nb::none(), in("left") = nb::none(), in("next") = -1, in("allowed") = nb::none());
    m.def("filter", &filter, in("level"), in("spec"), in("start"), in("trans"), in("ends"), in("X"), out("filtered"),
          in("halo") = nb::none(), in("left") = nb::none(), out("messages") = nb::none(), in("allowed") = nb::none());
    m.def("survey", &survey_rows, in("level"), in("X"), maybe("weight"), out("out"));
    m.def("missing_distances", &missing_distances, in("level"), in("X"), in("starts"), in("seen"), in("means"),
          in("factors"), out("dist"), out("logdet"));
    m.def("missing_moments", &missing_moments, in("level"), in("X"), in("starts"), in("seen"), in("means"),
          in("factors"), in("weight"), in("times"), out("mass"), out("first"), out("second"));
    m.def("factorise", &factorise_all, in("covariances"), out("inverse"), out("logdet"));
    m.def("normals", &normals, in("moments"), in("rows"), in("nothing"), in("origin"), maybe("floor"), in("relative"),
          out("means"), out("covariances"), out("inverse"), out("logdet"));
    m.def("climb", &climb_steps, in("level"), in("X"), maybe("weight"), maybe("allowed"), in("origin"), in("radius"),
          maybe("floor"), in("limits"), in("weights"), in("means"), in("inverse"), in("logdet"), out("loglik"),
          out("counts"), out("to_means"), out("to_covariances"), out("to_inverse"), out("to_logdet"));
    m.def("quadratic", &quadratic, in("mu"), in("inverse"), in("height"), in("radius"), out("weights"));
}
