#pragma once

#include <filesystem>
#include <string>

#include "core/upstreams/encoder_config.h"
#include "core/upstreams/folder_upstream.h"

namespace strata {

/// A family in Hugging Face's form whose models are a SpeechEncoder.
struct SpeechFamily {
  std::string name;    // `model_type`
  std::string prefix;  // before the names in a checkpoint saved with a task's head, "hubert."
  EncoderConfig defaults;
  void (*fields)(EncoderConfig&, Fields&);  // the keys of config.json
};

/// Reads such a model: a folder in Hugging Face's form, or a checkpoint of fairseq.
FolderUpstream::Model read_speech_model(const SpeechFamily& family, const SpeechOptions& options,
                                        const ModelPlace& place);

}  // namespace strata
