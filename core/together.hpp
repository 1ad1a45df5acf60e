// Columns of different kinds: each part sees its own columns of a row, and their log-densities add up.
#pragma once
#include <algorithm>
#include <memory>
#include <vector>

#include "tile.hpp"

namespace {

class ProductTile final : public Tile {
    struct Part {
        std::unique_ptr<Tile> tile;
        int64_t at;  // its first column
    };
    Array<real> work;
    std::vector<Part> parts;

    static int64_t rows_of(const std::vector<Part> &parts) {
        int64_t rows = parts[0].tile->size;
        for (const Part &p : parts) rows = std::min(rows, p.tile->size);
        return rows;
    }

  public:
    ProductTile(const Spec &s, std::vector<Part> of_columns)
        : Tile(s, rows_of(of_columns)), parts(std::move(of_columns)) {
        int64_t most = 0;
        for (const Part &p : parts) most = std::max(most, K * p.tile->ld);
        work.zeros(most);
    }

    static std::unique_ptr<Tile> of(const Spec &s, std::unique_ptr<Tile> (*make)(const Spec &)) {
        std::vector<Part> parts;
        int64_t at = 0;
        for (int64_t i = 0; i < s.n_parts; i++) {
            parts.push_back({make(*s.several[i]), at});
            at += s.several[i]->D;
        }
        return std::make_unique<ProductTile>(s, std::move(parts));
    }

    void load(const Rows &rows, Pick pick, int64_t count) override {
        begin(rows, pick, count);
        for (const Part &p : parts) {
            Rows own = rows;
            own.data = static_cast<const double *>(rows.data) + p.at;
            p.tile->load(own, pick, count);
        }
    }
    void record(int64_t loads) override {
        for (const Part &p : parts) p.tile->record(loads);
    }
    void replay(bool on) override {
        for (const Part &p : parts) p.tile->replay(on);
    }
    void log_densities(real *out) override {
        for (const Part &p : parts) {
            const bool first = p.at == 0;
            p.tile->log_densities(work.data());
            for (int64_t k = 0; k < K; k++)
                for (int64_t i = 0; i < padded; i += V) {
                    const vec x = ::load(work + k * p.tile->ld + i);
                    // a sum of what is impossible stays in range
                    store(out + k * ld + i, first ? x : vmax(x + ::load(out + k * ld + i), splat(4 * IMPOSSIBLE)));
                }
        }
    }
    void accumulate(const real *resp, int64_t ldr) override {
        for (const Part &p : parts) p.tile->accumulate(resp, ldr);
    }
    void finish(double *stats) override {
        for (int64_t i = 0; i < spec.n_parts; i++) {
            parts[static_cast<size_t>(i)].tile->finish(stats);
            stats += spec.sizes[i];
        }
    }
};

}  // namespace
