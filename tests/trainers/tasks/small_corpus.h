#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/config/json.h"
#include "data/manifest/manifest.h"
#include "trainers/tasks/task.h"

namespace strata {

/// Writes the manifests of a corpus with these utterances (`id` and what they are labelled with) and splits
/// ("asr.train" -> ids), and reads it back. No audio.
Corpus make_corpus(const std::filesystem::path& folder, const std::vector<Json>& utterances,
                   const std::map<std::string, std::vector<std::string>>& splits);

/// The task that `options` name, over a corpus.
std::unique_ptr<Task> make_task(const Json& options, const Corpus& corpus);

}  // namespace strata
