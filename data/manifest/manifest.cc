#include "data/manifest/manifest.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/base/hash.h"
#include "data/manifest/json_lines.h"
#include "data/manifest/layout.h"

namespace strata {
namespace {

std::string take_text(Json& object, const char* key, const std::string& place) {
  const auto found = object.find(key);
  if (found == object.end()) throw ConfigError(fmt::format("{}: the key \"{}\" is missing", place, key));
  if (!found->is_string() || found->get_ref<const std::string&>().empty()) {
    throw ConfigError(
        fmt::format("{}: \"{}\" is {}, but must be a string that is not empty", place, key, found->dump()));
  }
  std::string text = std::move(found->get_ref<std::string&>());
  object.erase(found);
  return text;
}

std::optional<double> take_seconds(Json& object, const char* key, const std::string& place) {
  const auto found = object.find(key);
  if (found == object.end()) return std::nullopt;
  if (!found->is_number() || !(found->get<double>() >= 0)) {
    throw ConfigError(fmt::format("{}: \"{}\" is {}, but must be a number of seconds", place, key, found->dump()));
  }
  const double seconds = found->get<double>();
  object.erase(found);
  return seconds;
}

Utterance to_utterance(Json object, const fs::path& folder, std::string place) {
  Utterance u;
  u.id = take_text(object, "id", place);
  check_id(u.id, place);
  u.audio = folder / take_text(object, "audio", place);
  u.offset = take_seconds(object, "offset", place).value_or(0);
  u.duration = take_seconds(object, "duration", place);
  if (u.duration == 0.0) throw ConfigError(fmt::format("{}: \"duration\" is 0", place));
  u.fields = std::move(object);
  u.place = std::move(place);
  return u;
}

}  // namespace

std::vector<Utterance> read_manifest(const fs::path& path, bool check_audio) {
  std::vector<Utterance> utterances;
  const fs::path folder = path.parent_path();
  for_each_object(path, [&](std::int64_t line, Json object) {
    utterances.push_back(to_utterance(std::move(object), folder, place_of(path, line)));
  });
  if (utterances.empty()) throw ConfigError(fmt::format("{}: holds no utterance", path.string()));
  check_unique_ids(utterances);
  if (check_audio) check_audio_files(utterances);
  return utterances;
}

Corpus Corpus::read(const fs::path& directory, bool check_audio) {
  std::error_code ignored;
  if (!fs::is_directory(directory, ignored)) {
    throw ConfigError(
        fmt::format("{}: there is no such directory of manifests; `strata prepare` writes one", directory.string()));
  }
  if (fs::exists(directory / kUnfinishedFile, ignored)) {
    throw ConfigError(fmt::format("{}: writing these manifests was interrupted; run the same `strata prepare` again",
                                  directory.string()));
  }
  Corpus corpus;
  corpus.directory_ = directory;
  const fs::path manifest = directory / kManifestFile;
  corpus.utterances_ = read_manifest(manifest, check_audio);
  for (std::size_t i = 0; i < corpus.utterances_.size(); ++i) corpus.index_.emplace(corpus.utterances_[i].id, i);
  corpus.hashes_[kManifestFile] = sha256_of_file(manifest);

  std::vector<fs::path> split_files;
  for (const auto& entry : fs::directory_iterator(directory)) {
    if (is_split_file(entry.path())) split_files.push_back(entry.path());
  }
  std::sort(split_files.begin(), split_files.end());
  for (const fs::path& path : split_files) corpus.read_split(path);

  if (fs::exists(directory / kRecordFile, ignored)) corpus.record_ = read_json(directory / kRecordFile);
  corpus.name_ = corpus.record_.value("corpus", fs::absolute(directory).lexically_normal().filename().string());
  corpus.check_hashes();
  return corpus;
}

void Corpus::read_split(const fs::path& path) {
  Split split;
  split.path = path;
  const std::string stem = path.stem().string();
  split.task = stem.substr(0, stem.find('.'));
  split.name = stem.substr(stem.find('.') + 1);
  std::unordered_map<std::size_t, std::int64_t> lines;
  const std::string content = read_file(path);
  for_each_line(content, [&](std::int64_t line, std::string_view text) {
    const std::optional<std::size_t> found = find(std::string(text));
    if (!found) {
      throw ConfigError(
          fmt::format("{}: there is no utterance \"{}\" in {}", place_of(path, line), text, kManifestFile));
    }
    const auto [first, added] = lines.emplace(*found, line);
    if (!added) {
      throw ConfigError(
          fmt::format("{}: \"{}\" was given already in line {}", place_of(path, line), text, first->second));
    }
    split.utterances.push_back(*found);
  });
  if (split.utterances.empty()) throw ConfigError(fmt::format("{}: this split is empty", path.string()));
  hashes_[path.filename().string()] = sha256(content);
  splits_.push_back(std::move(split));
}

void Corpus::check_hashes() const {
  if (!record_.contains("files")) return;
  for (const auto& [file, hash] : record_.at("files").items()) {
    const fs::path path = directory_ / file;
    const auto known = hashes_.find(file);
    std::error_code ignored;
    if (known == hashes_.end() && !fs::is_regular_file(path, ignored)) {
      throw ConfigError(fmt::format("{}: is listed in {} but not there", path.string(), kRecordFile));
    }
    if ((known == hashes_.end() ? sha256_of_file(path) : known->second) != hash) {
      throw ConfigError(
          fmt::format("{}: was changed after it was written ({} has another SHA-256); run `strata prepare` "
                      "again, or delete {} if the change is wanted",
                      path.string(), kRecordFile, kRecordFile));
    }
  }
}

std::string Corpus::content_hash() const {
  std::string hash;
  for (const Utterance& u : utterances_) {
    const Json said = {{"id", u.id}, {"offset", u.offset}, {"duration", u.duration ? Json(*u.duration) : Json()}, {"fields", u.fields}};
    hash = sha256(hash + said.dump());
  }
  return hash;
}

bool Corpus::has_split(const std::string& task, const std::string& name) const {
  return std::any_of(splits_.begin(), splits_.end(), [&](const Split& s) { return s.task == task && s.name == name; });
}

const Split& Corpus::split(const std::string& task, const std::string& name) const {
  std::vector<std::string> known;
  for (const Split& s : splits_) {
    if (s.task == task && s.name == name) return s;
    known.push_back(s.task + "." + s.name);
  }
  throw ConfigError(fmt::format("{}: there is no split {}.{}.txt; the splits are: {}", directory_.string(), task, name,
                                known.empty() ? "none" : fmt::format("{}", fmt::join(known, ", "))));
}

std::optional<std::size_t> Corpus::find(const std::string& id) const {
  const auto found = index_.find(id);
  if (found == index_.end()) return std::nullopt;
  return found->second;
}

void require_field(const Corpus& corpus, const Split& split, const std::string& field, const std::string& who) {
  for (const std::size_t i : split.utterances) {
    const Utterance& u = corpus.utterances()[i];
    const auto found = u.fields.find(field);
    if (found == u.fields.end() || found->is_null()) {
      throw ConfigError(fmt::format("{}: utterance \"{}\" of {}.{} has no \"{}\", which {} needs", u.place, u.id,
                                    split.task, split.name, field, who));
    }
  }
}

}  // namespace strata
