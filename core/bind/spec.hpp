// Arrays from Python, and a Spec that keeps them.
#pragma once
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "abi.hpp"

namespace nb = nanobind;
using namespace estep;

namespace {

using Doubles = nb::ndarray<const double, nb::c_contig, nb::device::cpu>;
using Out = nb::ndarray<double, nb::c_contig, nb::device::cpu>;
using Integers = nb::ndarray<const int64_t, nb::c_contig, nb::device::cpu>;
using Data = nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu>;
using Bytes = nb::ndarray<const uint8_t, nb::c_contig, nb::device::cpu>;
using MaybeDoubles = std::optional<Doubles>;
using MaybeBytes = std::optional<Bytes>;
using MaybeOut = std::optional<Out>;
using Halo = std::tuple<int64_t, int64_t, bool, bool>;  // head, tail, begins, closes

void require(bool ok, const char *what) {
    if (!ok) throw nb::value_error((std::string("kernel argument of the wrong size or type: ") + what).c_str());
}

int64_t statistics_size(const Spec &s) {
    const int64_t D = s.D, pairs = D * (D + 1) / 2;
    switch (s.kind) {
        case Kind::dense:
            return 0;
        case Kind::table:
            return s.K * s.M;
        case Kind::linear:
            return s.K * (1 + D);
        case Kind::diag:
            return s.K * (1 + 2 * D);
        case Kind::spherical:
            return s.K * (2 + D);
        case Kind::full:
            return s.K * (1 + D + pairs);
        case Kind::tied:
            return s.K * (1 + D) + pairs;
        case Kind::mixed:
            return s.K * s.M + statistics_size(*s.parts);
        case Kind::student:
            return 2 * s.K + statistics_size(*s.parts);
        case Kind::product: {
            int64_t size = 0;
            for (int64_t i = 0; i < s.n_parts; i++) size += s.sizes[i];
            return size;
        }
    }
    return 0;
}

class OwnedSpec {  // a Spec that keeps its arrays alive
    MaybeDoubles weights_, shared_, origin_, means_, factor_, lognorm_;
    std::vector<const Spec *> members_;
    std::vector<int64_t> sizes_;

    static const double *keep(MaybeDoubles &to, const MaybeDoubles &from, int64_t size, const char *what) {
        if (!from) return nullptr;
        require(static_cast<int64_t>(from->size()) == size, what);
        to = from;
        return to->data();
    }

  public:
    Spec spec{};
    bool single;  // computed in single precision
    OwnedSpec(int kind, bool whitened, bool counts, bool single_, int64_t K, int64_t D, int64_t M, MaybeDoubles weights,
              MaybeDoubles shared, MaybeDoubles origin, MaybeDoubles means, MaybeDoubles factor, MaybeDoubles lognorm,
              const OwnedSpec *parts, const std::vector<const OwnedSpec *> &members)
        : single(single_) {
        require(kind >= 0 && kind <= static_cast<int>(Kind::product) && K > 0 && D > 0, "kind");
        spec.kind = static_cast<Kind>(kind), spec.whitened = whitened, spec.counts = counts;
        spec.K = K, spec.D = D, spec.M = M;
        const bool full = spec.kind == Kind::full || spec.kind == Kind::tied, tied = spec.kind == Kind::tied;
        if (spec.kind == Kind::mixed) {
            require(parts && parts->spec.kind != Kind::mixed && parts->spec.K == K * M && parts->spec.D == D, "parts");
            spec.parts = &parts->spec;
            spec.weights = keep(weights_, weights, K * M, "weights");
            require(spec.weights, "weights");
            return;
        }
        if (spec.kind == Kind::product) {
            int64_t columns = 0;
            for (const OwnedSpec *part : members) {
                require(part->spec.K == K && part->spec.kind != Kind::dense, "members");
                columns += part->spec.D;
                members_.push_back(&part->spec);
                sizes_.push_back(statistics_size(part->spec));
            }
            require(columns == D && !members.empty(), "members");
            spec.members = members_.data(), spec.sizes = sizes_.data();
            spec.n_parts = static_cast<int64_t>(members_.size());
            return;
        }
        if (spec.kind == Kind::student) {
            require(parts && parts->spec.K == K && parts->spec.D == D, "parts");
            const Kind gaussian = parts->spec.kind;
            require(gaussian >= Kind::diag && gaussian <= Kind::tied, "parts");
            spec.parts = &parts->spec;
            spec.weights = keep(weights_, weights, 5 * K, "weights");
            require(spec.weights, "weights");
            return;
        }
        const int64_t per = (statistics_size(spec) - (tied ? D * (D + 1) / 2 : 0)) / K;
        spec.weights = keep(weights_, weights, spec.kind == Kind::table ? M * K : per * K, "weights");
        spec.shared = keep(shared_, shared, counts ? D : D * (D + 1) / 2, "shared");
        spec.origin = keep(origin_, origin, D, "origin");
        spec.means = keep(means_, means, K * D, "means");
        spec.factor = keep(factor_, factor, K * D * (full ? D : 1), "factor");
        spec.lognorm = keep(lognorm_, lognorm, K, "lognorm");
        if (spec.kind == Kind::dense) return;
        require(whitened ? spec.means && spec.factor && spec.lognorm : spec.weights != nullptr, "parameters");
        require(whitened || !(tied || counts) || spec.shared, "shared");
    }
};

}  // namespace
