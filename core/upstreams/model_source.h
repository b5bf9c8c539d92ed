#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "core/config/json.h"
#include "core/tensor/safetensors.h"
#include "core/upstreams/preprocessing.h"
#include "core/upstreams/weight_reader.h"

namespace strata {

/// What a model is made from, whoever wrote it.
struct ModelSource {
  std::string place;         // folder or file, named in errors
  std::string config_place;  // of the config
  Json config;               // as config.json has it
  NamedTensors weights;      // of the bare model, under the names that the file has
  WeightReader::Spelling spelling;
  std::optional<WaveNorm> wave_norm;  // where the config does not say it
};

/// Reads the folder of a family as Hugging Face writes it, or one of fairseq's checkpoints (a file), whose settings are
/// rewritten as that family's config.json.
///   prefix  before the names of weights that were saved with a task's head ("hubert.")
/// Throws ConfigError: no folder (`family` was named where one belongs), no weights; DataError: a broken file.
ModelSource read_model_source(const std::string& family, const std::string& prefix, const std::filesystem::path& path);

/// The config.json of a folder, or what stands for it in fairseq's checkpoint; `model_type` names the family.
Json read_model_config(const std::filesystem::path& path);

}  // namespace strata
