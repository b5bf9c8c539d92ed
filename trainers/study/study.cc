#include "trainers/study/study.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/base/nearest.h"
#include "core/config/overrides.h"
#include "data/store/hdf5.h"
#include "trainers/study/corpus_entries.h"

namespace strata {
namespace {

namespace fs = std::filesystem;

CorpusEntry read_corpus(const Json& value, const fs::path& root, const std::string& file, const std::string& path) {
  CorpusEntry entry;
  if (value.is_string()) {
    entry.manifests = root / value.get<std::string>();
    return entry;
  }
  FieldReader reader(value, file, path);
  entry.manifests = root / require_text(reader, "manifests");
  reader.json("effects", entry.effects, "");
  if (!entry.effects.is_array()) reader.fail("effects", "takes a list of objects such as {\"type\": \"band_limit\", \"rate_hz\": 8000}");
  reader.finish("a corpus");
  return entry;
}

UpstreamEntry read_upstream(FieldReader reader) {
  UpstreamEntry entry;
  entry.model = require_text(reader, "model");
  reader.text("dtype", entry.dtype, "", hdf5::stored_type_names());
  reader.texts("taps", entry.taps, "");
  reader.text("compression", entry.compression, "", hdf5::compression_names());
  for (const std::string& key : reader.keys()) {
    if (key != "model" && key != "dtype" && key != "taps" && key != "compression")
      entry.options[key] = reader.require(key);
  }
  return entry;
}

TaskEntry read_task(FieldReader reader, const std::map<std::string, CorpusEntry>& corpora) {
  TaskEntry entry;
  entry.type = require_text(reader, "type");
  entry.corpus = require_text(reader, "corpus");
  if (!corpora.contains(entry.corpus)) {
    std::vector<std::string> names;
    for (const auto& [name, corpus] : corpora) names.push_back(name);
    reader.fail("corpus", fmt::format("the study has no corpus \"{}\"{}", entry.corpus, did_you_mean(entry.corpus, names)));
  }
  reader.json("head", entry.head, "");
  for (const std::string& key : reader.keys()) {
    if (key != "corpus" && key != "head") entry.options[key] = reader.require(key);
  }
  return entry;
}

}  // namespace

std::string require_text(FieldReader& reader, const char* key) {
  std::string value;
  reader.require(key);
  reader.text(key, value, "");
  if (value.empty()) reader.fail(key, "must not be empty");
  return value;
}

void check_name(const FieldReader& reader, const std::string& name) {
  const bool plain = !name.empty() && name.front() != '.' &&
                     name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") == std::string::npos;
  if (!plain) reader.fail(name, "a name may have letters, digits, '_', '-' and '.', and must not start with '.'");
}

std::map<std::string, CorpusEntry> read_corpora(FieldReader& study, const fs::path& root) {
  std::map<std::string, CorpusEntry> entries;
  FieldReader corpora = study.child("corpora");
  for (const std::string& name : corpora.keys()) {
    check_name(corpora, name);
    entries[name] = read_corpus(corpora.require(name), root, study.file(), "/corpora/" + name);
  }
  if (entries.empty()) study.fail("corpora", "the study has no corpus");
  return entries;
}

Study read_study(const fs::path& file, const std::vector<std::string>& overrides) {
  Study study;
  study.file = file;
  study.source = read_json(file);
  for (const std::string& argument : overrides) apply_override(study.source, argument);
  FieldReader reader(study.source, file.string());

  study.name = require_text(reader, "name");
  std::string root;
  reader.text("root", root, "");
  study.root = (file.parent_path() / root).lexically_normal();
  study.output = (study.root / require_text(reader, "output")).lexically_normal();
  study.store = (study.root / require_text(reader, "store")).lexically_normal();

  study.corpora = read_corpora(reader, study.root);
  FieldReader upstreams = reader.child("upstreams");
  for (const std::string& name : upstreams.keys()) {
    check_name(upstreams, name);
    study.upstreams[name] = read_upstream(upstreams.child(name));
  }
  if (study.upstreams.empty()) reader.fail("upstreams", "the study has no upstream");
  if (reader.has("tasks")) {
    FieldReader tasks = reader.child("tasks");
    for (const std::string& name : tasks.keys()) study.tasks[name] = read_task(tasks.child(name), study.corpora);
  }
  Json sweep = Json::array(), search = {{"type", "grid"}};
  reader.json("sweep", sweep, "");
  if (!sweep.is_array()) reader.fail("sweep", "takes a list of blocks");
  study.sweep = sweep.get<std::vector<Json>>();
  reader.json("search", search, "");
  FieldReader search_reader(search, file.string(), "/search");
  std::string kind = "grid";
  search_reader.text("type", kind, "", {"grid"});
  search_reader.finish("search");
  reader.text("keep", study.keep, "", {"none", "best", "all"});
  reader.number("ranks_per_trial", study.ranks_per_trial, "", at_least(0));
  reader.number("threads", study.threads, "", at_least(0));
  reader.text("device", study.device, "", {"auto", "cpu", "cuda"});
  reader.flag("tensorboard", study.tensorboard, "");
  reader.flag("rewrites", study.rewrites, "");
  reader.text("verify", study.verify, "", {"once", "always", "never"});
  reader.flag("allow_missing", study.allow_missing, "");
  Json pretrain;  // read by `strata pretrain`
  reader.json("pretrain", pretrain, "");
  reader.finish("a study");
  return study;
}

}  // namespace strata
