// SPDX-License-Identifier: Apache-2.0
#pragma once
#ifdef __cplusplus
extern "C" {
#endif
/// The version of toml11 this was compiled against.
const char *ctoml_version(void);
#ifdef __cplusplus
}
#endif
