// The tile that a spec asks for.
#pragma once
#include "mixed.hpp"
#include "tables.hpp"
#include "whitened.hpp"

namespace {

Tile *make_tile(const Spec &s) {
    if (s.kind == Kind::mixed) return new MixedTile(s, make_tile(*s.parts));
    if (s.kind == Kind::dense) return new DenseTile(s);
    if (s.kind == Kind::table) return new TableTile(s);
    if (s.whitened) return new WhitenedTile(s);
    return new FeatureTile(s);
}

struct AnyTile {
    Tile *tile;
    explicit AnyTile(const Spec &s) : tile(make_tile(s)) {}
    ~AnyTile() { delete tile; }
    AnyTile(const AnyTile &) = delete;
    AnyTile &operator=(const AnyTile &) = delete;
    Tile *operator->() const { return tile; }
};

}  // namespace
