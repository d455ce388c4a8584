// SPDX-License-Identifier: Apache-2.0
#include "CTOML.h"
#include <toml.hpp>
const char *ctoml_version(void) { return "3"; }
