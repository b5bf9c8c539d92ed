#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <unordered_map>

#include "core/base/error.h"
#include "data/corpora/corpus.h"
#include "data/corpora/splits.h"
#include "data/manifest/json_lines.h"

namespace strata {
namespace {

namespace fs = std::filesystem;

struct LhotseOptions : SplitOptions {
  std::string audio_root;
  void fields(Fields& f) {
    f.text("audio_root", audio_root, "folder that relative audio paths start from; empty: that of the manifests");
    SplitOptions::fields(f);
  }
};

struct Recording {
  fs::path audio;
  std::size_t channels = 1;
  Json duration;
};

/// A value that lhotse always writes; throws ConfigError if it is not there or of another type.
template <class T>
T get(const Json& object, const char* key, const std::string& place) {
  try {
    return object.at(key).get<T>();
  } catch (const Json::exception&) {
    throw ConfigError(fmt::format("{}: \"{}\" is {}", place, key,
                                  object.contains(key) ? object.at(key).dump() + ", of the wrong type" : "missing"));
  }
}

/// Manifests of lhotse, as JSON Lines, plain or `.gz`: cuts (`*cuts*.jsonl`), or recordings with supervisions
/// (`*recordings*.jsonl`, `*supervisions*.jsonl`, paired by the rest of their names). What follows `cuts_`,
/// `recordings_` in the name (librispeech_cuts_train.jsonl.gz) is the part, and so the split: train.
/// A supervision is an utterance; recordings without any are utterances by themselves. A cut is one utterance: with one
/// supervision it has its text, speaker, language; with several, `segments`. Fields under `custom` are kept.
class Lhotse : public CorpusPreparer {
 public:
  explicit Lhotse(LhotseOptions options) : options_(std::move(options)) {}

  CorpusDraft prepare(const fs::path& source) const override {
    CorpusDraft draft;
    draft.name = fs::absolute(source / "").lexically_normal().parent_path().filename().string();
    draft.version = "1";
    const auto cuts = files_of(source, "cuts");
    for (const auto& [part, file] : cuts) add_cuts(file, part, draft);
    if (cuts.empty()) {
      const auto recordings = files_of(source, "recordings");
      auto supervisions = files_of(source, "supervisions");
      if (recordings.empty()) {
        throw ConfigError(
            fmt::format("{}: holds neither *cuts*.jsonl nor *recordings*.jsonl (or .jsonl.gz)", source.string()));
      }
      for (const auto& [part, file] : recordings) add_recordings(file, supervisions[part], part, draft);
    }
    fill_durations(draft);
    assign_splits(draft, options_);
    return draft;
  }

 private:
  LhotseOptions options_;

  /// Files whose name holds `kind`, by what follows it.
  static std::map<std::string, fs::path> files_of(const fs::path& source, const std::string& kind) {
    std::map<std::string, fs::path> found;
    if (!fs::is_directory(source)) throw ConfigError(fmt::format("{}: is no folder", source.string()));
    for (const auto& entry : fs::directory_iterator(source)) {
      std::string name = entry.path().filename().string();
      if (name.ends_with(".gz")) name.resize(name.size() - 3);
      const std::size_t at = name.rfind(kind);
      if (!name.ends_with(".jsonl") || at == std::string::npos) continue;
      name.resize(name.size() - 6);
      const std::string rest = name.substr(at + kind.size());
      const std::string part = rest.starts_with('_') || rest.starts_with('-') ? rest.substr(1) : rest;
      const auto [first, added] = found.emplace(part, entry.path());
      if (!added) {
        throw ConfigError(fmt::format("{}: {} and {} are both the {} of one part", source.string(),
                                      first->second.filename().string(), entry.path().filename().string(), kind));
      }
    }
    return found;
  }

  Recording to_recording(const Json& object, const fs::path& folder, const std::string& place) const {
    const Json sources = get<Json>(object, "sources", place);
    if (!sources.is_array() || sources.size() != 1) {
      throw ConfigError(
          fmt::format("{}: a recording with {} sources; Strata reads those with one file", place, sources.size()));
    }
    const std::string type = get<std::string>(sources[0], "type", place);
    if (type != "file") {
      throw ConfigError(fmt::format("{}: a source of type \"{}\"; Strata reads \"file\" only", place, type));
    }
    if (object.contains("transforms") && !object.at("transforms").empty()) {
      throw ConfigError(fmt::format("{}: a recording with transforms; save its audio to files first", place));
    }
    const fs::path root = options_.audio_root.empty() ? folder : fs::path(options_.audio_root);
    Recording recording;
    recording.audio = root / get<std::string>(sources[0], "source", place);
    recording.channels = std::max<std::size_t>(1, get<Json>(sources[0], "channels", place).size());
    recording.duration = object.value("duration", Json());
    return recording;
  }

  static void check_channel(const Json& object, const Recording& recording, const std::string& place) {
    if (recording.channels > 1) {
      throw ConfigError(
          fmt::format("{}: channel {} of {}, which has {} channels; save each channel to a file of its own", place,
                      object.value("channel", Json(0)).dump(), recording.audio.string(), recording.channels));
    }
  }

  static void add_supervision_fields(const Json& supervision, Json& fields) {
    for (const char* key : {"text", "speaker", "language", "gender"}) {
      const auto found = supervision.find(key);
      if (found != supervision.end() && !found->is_null()) fields[key] = *found;
    }
    const auto custom = supervision.find("custom");
    if (custom == supervision.end() || !custom->is_object()) return;
    for (const auto& [key, value] : custom->items()) {
      if (key != "id" && key != "audio" && key != "offset" && key != "duration" && !fields.contains(key))
        fields[key] = value;
    }
  }

  void add_recordings(const fs::path& recordings_file, const fs::path& supervisions_file, const std::string& part,
                      CorpusDraft& draft) const {
    std::unordered_map<std::string, Recording> recordings;
    std::vector<std::pair<std::string, std::string>> order;  // id, place
    for_each_object(recordings_file, [&](std::int64_t line, Json object) {
      const std::string place = place_of(recordings_file, line), id = get<std::string>(object, "id", place);
      const bool added = recordings.emplace(id, to_recording(object, recordings_file.parent_path(), place)).second;
      if (!added) throw ConfigError(fmt::format("{}: the recording \"{}\" was given already", place, id));
      order.emplace_back(id, place);
    });
    if (supervisions_file.empty()) {
      for (const auto& [id, place] : order) {
        Utterance u{id, recordings.at(id).audio, 0, std::nullopt, Json::object(), place};
        add(std::move(u), part, draft);
      }
      return;
    }
    for_each_object(supervisions_file, [&](std::int64_t line, Json object) {
      const std::string place = place_of(supervisions_file, line);
      const auto recording = recordings.find(get<std::string>(object, "recording_id", place));
      if (recording == recordings.end()) {
        throw ConfigError(fmt::format("{}: there is no recording {} in {}", place, object["recording_id"].dump(),
                                      recordings_file.filename().string()));
      }
      check_channel(object, recording->second, place);
      Utterance u{
          get<std::string>(object, "id", place), recording->second.audio, 0, std::nullopt, Json::object(), place};
      set_times(object, recording->second, u);
      add_supervision_fields(object, u.fields);
      add(std::move(u), part, draft);
    });
  }

  void add_cuts(const fs::path& file, const std::string& part, CorpusDraft& draft) const {
    for_each_object(file, [&](std::int64_t line, Json object) {
      const std::string place = place_of(file, line), type = object.value("type", "MonoCut");
      if (type != "MonoCut") {
        throw ConfigError(fmt::format("{}: a {}; Strata reads MonoCut only: save its audio first", place, type));
      }
      const Recording recording = to_recording(get<Json>(object, "recording", place), file.parent_path(), place);
      check_channel(object, recording, place);
      Utterance u{get<std::string>(object, "id", place), recording.audio, 0, std::nullopt, Json::object(), place};
      set_times(object, recording, u);
      const Json supervisions = object.value("supervisions", Json::array());
      if (supervisions.size() == 1) add_supervision_fields(supervisions[0], u.fields);
      if (supervisions.size() > 1) u.fields["segments"] = segments(supervisions, place);
      add(std::move(u), part, draft);
    });
  }

  static Json segments(const Json& supervisions, const std::string& place) {
    Json all = Json::array();
    for (const Json& s : supervisions) {
      const double start = get<double>(s, "start", place);
      all.push_back({{"start", start},
                     {"end", start + get<double>(s, "duration", place)},
                     {"speaker", s.value("speaker", Json())}});
    }
    return all;
  }

  /// A supervision or cut that is the whole recording gets no times: rounding must not cut a sample off.
  static void set_times(const Json& object, const Recording& recording, Utterance& u) {
    const double start = get<double>(object, "start", u.place), duration = get<double>(object, "duration", u.place);
    if (start < 0 || duration <= 0) {
      throw ConfigError(fmt::format("{}: starts at {} s and lasts {} s", u.place, start, duration));
    }
    if (start == 0 && recording.duration == duration) return;
    u.offset = start;
    u.duration = duration;
  }

  static void add(Utterance u, const std::string& part, CorpusDraft& draft) {
    if (!part.empty()) u.fields[kPartField] = part;
    draft.utterances.push_back(std::move(u));
  }
};

STRATA_REGISTER_CORPUS("lhotse", LhotseOptions, Lhotse,
                       "own data from lhotse's JSON Lines: cuts, or recordings and supervisions");

}  // namespace
}  // namespace strata
