#pragma once

#include <string>

#include "core/config/json.h"

namespace strata {

/// Sets one value: `path.to.key=value`, where the value is JSON, or else text; commas make a list (1e-3,1e-2). Numbers in
/// the path count the entries of a list. Missing keys are made. Throws ConfigError that quotes the argument.
void apply_override(Json& object, const std::string& argument);

}  // namespace strata
