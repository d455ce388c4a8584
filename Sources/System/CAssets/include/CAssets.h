// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>

/// One embedded file: its path from the CAssets folder, and its bytes, which are not NUL-terminated.
struct atoll_asset {
    const char *path;
    const unsigned char *bytes;
    size_t count;
};

/// Every embedded file, in the order of the paths. Written by scripts/embed.
extern const struct atoll_asset atoll_assets[];
extern const size_t atoll_asset_count;

/// The entry at `index`, which must be below `atoll_asset_count`. Swift cannot subscript an array of unknown length.
static inline const struct atoll_asset *atoll_asset_at(size_t index) {
    return &atoll_assets[index];
}
