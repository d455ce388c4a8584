// SPDX-License-Identifier: Apache-2.0
#include "CAssets.h"
static const unsigned char placeholder_sql[] = {
#embed "sql/placeholder.sql"
};
const struct atoll_asset atoll_assets[] = {
    {"sql/placeholder.sql", placeholder_sql, sizeof placeholder_sql},
};
const size_t atoll_asset_count = sizeof atoll_assets / sizeof atoll_assets[0];
