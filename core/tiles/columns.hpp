// Columns of different kinds: each part sees its own columns of a row, and their log-densities add up.
#pragma once
#include <algorithm>
#include <memory>

#include "tiles/tile.hpp"

namespace {

class ProductTile final : public Tile {
    struct Part {
        std::unique_ptr<Tile> tile;
        int64_t at;  // its first column
    };
    Array<real> work;
    const std::unique_ptr<Part[]> parts;

    static int64_t rows_of(const Part *parts, int64_t n) {
        int64_t rows = parts[0].tile->size;
        for (int64_t i = 1; i < n; i++) rows = std::min(rows, parts[i].tile->size);
        return rows;
    }

    template <class Visit>
    void each(Visit &&visit) const {
        for (int64_t i = 0; i < spec.n_parts; i++) visit(parts[static_cast<size_t>(i)]);
    }

  public:
    ProductTile(const Spec &s, std::unique_ptr<Part[]> of_columns)
        : Tile(s, rows_of(of_columns.get(), s.n_parts)), parts(std::move(of_columns)) {
        int64_t most = 0;
        each([&](const Part &p) { most = std::max(most, K * p.tile->ld); });
        work.zeros(most);
    }

    static std::unique_ptr<Tile> of(const Spec &s, std::unique_ptr<Tile> (*make)(const Spec &)) {
        auto parts = std::make_unique<Part[]>(static_cast<size_t>(s.n_parts));
        int64_t at = 0;
        for (int64_t i = 0; i < s.n_parts; i++) {
            parts[static_cast<size_t>(i)] = {make(*s.members[i]), at};
            at += s.members[i]->D;
        }
        return std::make_unique<ProductTile>(s, std::move(parts));
    }

    void load(const Rows &rows, Pick pick, int64_t count) override {
        begin(rows, pick, count);
        each([&](const Part &p) {
            Rows own = rows;
            own.data = static_cast<const double *>(rows.data) + p.at;
            p.tile->load(own, pick, count);
        });
    }
    void record(int64_t loads) override {
        each([&](const Part &p) { p.tile->record(loads); });
    }
    void replay(bool on) override {
        each([&](const Part &p) { p.tile->replay(on); });
    }
    void log_densities(real *out) override {
        each([&](const Part &p) {
            const bool first = p.at == 0;
            p.tile->log_densities(work.data());
            for (int64_t k = 0; k < K; k++)
                for (int64_t i = 0; i < padded; i += V) {
                    const vec x = ::load(work + k * p.tile->ld + i);
                    // a sum of what is impossible stays in range
                    store(out + k * ld + i, first ? x : vmax(x + ::load(out + k * ld + i), splat(4 * IMPOSSIBLE)));
                }
        });
    }
    void accumulate(const real *resp, int64_t ldr) override {
        each([&](const Part &p) { p.tile->accumulate(resp, ldr); });
    }
    void finish(double *stats) override {
        each([&, size = spec.sizes](const Part &p) mutable {
            p.tile->finish(stats);
            stats += *size++;
        });
    }
};

}  // namespace
