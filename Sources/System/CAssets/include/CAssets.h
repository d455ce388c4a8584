// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <stddef.h>
/// One embedded file. `bytes` is not NUL-terminated.
struct atoll_asset {
    const char *path;
    const unsigned char *bytes;
    size_t count;
};
extern const struct atoll_asset atoll_assets[];
extern const size_t atoll_asset_count;
