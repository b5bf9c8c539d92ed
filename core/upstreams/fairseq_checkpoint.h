#pragma once

#include <filesystem>
#include <string>

#include "core/config/json.h"
#include "core/tensor/safetensors.h"
#include "core/upstreams/preprocessing.h"

namespace strata {

/// A checkpoint (.pt) of fairseq, or s3prl's conversion of one: HuBERT, wav2vec 2.0, data2vec's audio model and
/// MR-HuBERT, pre-trained or fine-tuned with CTC.
struct FairseqCheckpoint {
  std::string config_place;  // "model.pt cfg"
  Json config;               // in the form of the family's config.json
  NamedTensors weights;      // in fairseq's names
  WaveNorm wave_norm;        // `task.normalize`, with fairseq's eps
};

/// Reads {cfg or args, model} of fairseq and {model_cfg, task_cfg, model_weight} of s3prl. Settings that change the
/// hidden states and are not supported (conformer layers, quantised inputs) are refused by name. Nothing in the file is
/// executed: objects of classes that are not known (dictionaries, enums, Namespaces) are only looked into. Throws
/// DataError that names the file and the key.
FairseqCheckpoint read_fairseq_checkpoint(const std::filesystem::path& path);

}  // namespace strata
