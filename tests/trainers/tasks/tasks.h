#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/base/file.h"
#include "tests/core/testing.h"
#include "trainers/tasks/task.h"

namespace strata {

/// A corpus of these utterances and splits in `folder`, read back. No audio.
inline Corpus make_corpus(const fs::path& folder, const std::vector<Json>& utterances,
                          const std::map<std::string, std::vector<std::string>>& splits) {
  fs::remove_all(folder);
  std::string lines;
  for (Json utterance : utterances) {
    utterance["audio"] = "none.wav";
    lines += utterance.dump() + "\n";
  }
  write_file_atomically(folder / "utterances.jsonl", lines);
  for (const auto& [name, ids] : splits) {
    std::string list;
    for (const std::string& id : ids) list += id + "\n";
    write_file_atomically(folder / (name + ".txt"), list);
  }
  return Corpus::read(folder, /*check_audio=*/false);
}

inline std::unique_ptr<Task> make_task(const Json& options, const Corpus& corpus) {
  return TaskRegistry::make(FieldReader(options, "test", "/tasks/it"), corpus);
}

/// [B, T, C] logits whose best symbol at each frame is `paths`; B = paths.size() / frames.
inline at::Tensor logits_of(const std::vector<std::int64_t>& paths, std::int64_t frames, std::int64_t classes) {
  std::vector<double> values;
  for (const std::int64_t symbol : paths) {
    for (std::int64_t c = 0; c < classes; ++c) values.push_back(c == symbol ? 3.0 : 0.0);
  }
  return tensor(values, {static_cast<std::int64_t>(paths.size()) / frames, frames, classes});
}

}  // namespace strata
