#pragma once

#include <filesystem>
#include <string>

#include "core/tensor/safetensors.h"

namespace strata {

/// All tensors of a model folder as Hugging Face writes it, under the names they have there, views of the files where
/// the container allows: `model.safetensors`, else the shards that `model.safetensors.index.json` lists. Throws
/// ConfigError if there is none of them, or if the index and its shards disagree; DataError if a file is broken.
NamedTensors read_checkpoint(const std::filesystem::path& folder);

/// The weights of the bare model in a checkpoint that may have been saved with a task's head: where names start with
/// `prefix` ("hubert."), it is taken off; weights of known heads, of pre-training and of masking, which no hidden state
/// depends on, are left out, and named once, by parts, in the log. `place` is named there.
NamedTensors bare_model(NamedTensors tensors, const std::string& prefix, const std::string& place);

}  // namespace strata
