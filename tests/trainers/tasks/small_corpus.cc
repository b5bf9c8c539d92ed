#include "tests/trainers/tasks/small_corpus.h"

#include "core/base/file.h"

namespace strata {

Corpus make_corpus(const std::filesystem::path& folder, const std::vector<Json>& utterances,
                   const std::map<std::string, std::vector<std::string>>& splits) {
  std::filesystem::remove_all(folder);
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

std::unique_ptr<Task> make_task(const Json& options, const Corpus& corpus) {
  return TaskRegistry::make(FieldReader(options, "test", "/tasks/it"), corpus);
}

}  // namespace strata
