#include "data/manifest/writer.h"

#include <fmt/format.h>

#include <cmath>
#include <unordered_map>
#include <unordered_set>

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/base/hash.h"
#include "data/manifest/layout.h"

namespace strata {
namespace {

using Index = std::unordered_map<std::string_view, const Utterance*>;

Index check(const CorpusDraft& draft) {
  if (draft.utterances.empty()) throw ConfigError(fmt::format("corpus {}: no utterance was found", draft.name));
  for (const Utterance& u : draft.utterances) check_id(u.id, u.place);
  check_unique_ids(draft.utterances);
  check_audio_files(draft.utterances);
  Index index;
  for (const Utterance& u : draft.utterances) index.emplace(u.id, &u);
  for (const auto& [split, ids] : draft.splits) {
    if (ids.empty()) throw ConfigError(fmt::format("corpus {}: the split {} would be empty", draft.name, split));
    std::unordered_set<std::string_view> seen;
    for (const std::string& id : ids) {
      if (!index.contains(id)) throw InternalError(fmt::format("split {} names unknown utterance {}", split, id));
      if (!seen.insert(id).second) throw InternalError(fmt::format("split {} names {} twice", split, id));
    }
  }
  return index;
}

std::string audio_path(const fs::path& audio, const fs::path& directory) {
  const fs::path absolute = fs::absolute(audio).lexically_normal();
  const fs::path relative = absolute.lexically_relative(directory);
  // "../x" is below the parent, "../../x" is not.
  auto part = relative.begin();
  const bool near = !relative.empty() && (*part != ".." || (++part != relative.end() && *part != ".."));
  return (near ? relative : absolute).string();
}

std::string manifest_text(const std::vector<Utterance>& utterances, const fs::path& directory) {
  std::string text;
  for (const Utterance& u : utterances) {
    Json line = u.fields;
    line["id"] = u.id;
    line["audio"] = audio_path(u.audio, directory);
    if (u.offset != 0) line["offset"] = u.offset;
    if (u.duration) line["duration"] = *u.duration;
    text += line.dump() + "\n";
  }
  return text;
}

double hours(double seconds) { return std::round(seconds / 3600 * 10000) / 10000; }

Json record_of(const CorpusDraft& draft, const Index& index) {
  Json record = {{"corpus", draft.name}, {"version", draft.version}, {"notes", draft.notes}};
  double seconds = 0;
  std::size_t without = 0;
  for (const Utterance& u : draft.utterances) {
    seconds += u.duration.value_or(0);
    without += u.duration ? 0 : 1;
  }
  record["counts"]["utterances"] = draft.utterances.size();
  record["hours"]["utterances"] = hours(seconds);
  if (without > 0) record["counts"]["utterances_without_duration"] = without;
  for (const auto& [split, ids] : draft.splits) {
    double sum = 0;
    for (const std::string& id : ids) sum += index.at(id)->duration.value_or(0);
    record["counts"][split] = ids.size();
    record["hours"][split] = hours(sum);
  }
  return record;
}

std::map<std::string, std::string> texts_of(const CorpusDraft& draft, const fs::path& directory) {
  std::map<std::string, std::string> texts = draft.files;
  texts[kManifestFile] = manifest_text(draft.utterances, directory);
  for (const auto& [split, ids] : draft.splits) {
    std::string& text = texts[split + ".txt"];
    for (const std::string& id : ids) text += id + "\n";
  }
  return texts;
}

void remove_old_splits(const fs::path& directory, const std::map<std::string, std::string>& texts) {
  std::vector<fs::path> old;
  for (const auto& entry : fs::directory_iterator(directory)) {
    if (is_split_file(entry.path()) && !texts.contains(entry.path().filename().string())) old.push_back(entry.path());
  }
  for (const fs::path& path : old) fs::remove(path);
}

}  // namespace

Json write_corpus(const CorpusDraft& draft, const fs::path& directory) {
  const Index index = check(draft);
  const fs::path absolute = fs::absolute(directory / "").lexically_normal().parent_path();
  const std::map<std::string, std::string> texts = texts_of(draft, absolute);
  Json record = record_of(draft, index);
  for (const auto& [file, text] : texts) record["files"][file] = sha256(text);

  make_folder(absolute);
  write_file_atomically(absolute / kUnfinishedFile, "strata prepare is writing this directory, or was interrupted\n");
  fs::remove(absolute / kRecordFile);
  remove_old_splits(absolute, texts);
  for (const auto& [file, text] : texts) write_file_atomically(absolute / file, text);
  write_file_atomically(absolute / kRecordFile, record.dump(2) + "\n");
  fs::remove(absolute / kUnfinishedFile);
  return record;
}

}  // namespace strata
