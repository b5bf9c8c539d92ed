#pragma once

#include <filesystem>
#include <set>
#include <string>

#include "core/config/json.h"
#include "core/pretraining/objective.h"

namespace strata {

/// Writes a model's folder: model.safetensors, preprocessor_config.json where `preprocessor` is not null, and, last,
/// config.json.
void write_model_folder(const std::filesystem::path& folder, const NamedTensors& weights, const Json& config,
                        const Json& preprocessor);

/// The parameters but for `heads`, by name, in float16. Throws DataError, naming it, if one is not finite there.
NamedTensors model_weights(const Parameters& parameters, const std::set<std::string>& heads);

/// preprocessor_config.json of a Wav2Vec2FeatureExtractor.
Json preprocessor_config(bool normalize);

}  // namespace strata
