// The tile that a spec asks for.
#pragma once
#include "tiles/columns.hpp"
#include "tiles/known.hpp"
#include "tiles/parts.hpp"
#include "tiles/student.hpp"
#include "tiles/table.hpp"
#include "tiles/whitened.hpp"

namespace {

std::unique_ptr<Tile> make_tile(const Spec &s) {
    if (s.kind == Kind::mixed) return std::make_unique<MixedTile>(s, make_tile(*s.parts));
    if (s.kind == Kind::product) return ProductTile::of(s, make_tile);
    if (s.kind == Kind::student) return std::make_unique<StudentTile>(s, make_tile(*s.parts));
    if (s.kind == Kind::dense) return std::make_unique<DenseTile>(s);
    if (s.kind == Kind::table) return std::make_unique<TableTile>(s);
    if (s.whitened) return std::make_unique<WhitenedTile>(s);
    return std::make_unique<FeatureTile>(s);
}

std::unique_ptr<Tile> make_tile(const Spec &s, const Rows &rows) {
    auto tile = make_tile(s);
    if (rows.allowed) tile = std::make_unique<KnownTile>(std::move(tile));
    return tile;
}

}  // namespace
