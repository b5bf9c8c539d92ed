#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <deque>
#include <functional>
#include <future>
#include <optional>

#include "core/base/cores.h"
#include "core/base/error.h"
#include "core/base/file.h"
#include "data/audio/audio.h"
#include "data/manifest/manifest.h"
#include "tools/commands/session.h"
#include "trainers/predict/predictor.h"

namespace strata {
namespace {

struct Arguments {
  std::string trial;
  std::vector<std::string> audio, models;
};

/// A folder with utterances.jsonl, a manifest (.jsonl), or one audio file, whose name is then its id.
std::vector<Utterance> read_utterances(const fs::path& path) {
  if (fs::is_directory(path)) return read_manifest(path / "utterances.jsonl");
  if (!fs::is_regular_file(path))
    throw ConfigError(fmt::format("{}: there is no such audio file or manifest", path.string()));
  if (path.extension() == ".jsonl") return read_manifest(path);
  Utterance utterance;
  utterance.id = path.string();
  utterance.audio = path;
  utterance.place = path.string();
  return {utterance};
}

ModelPlaces read_places(const std::vector<std::string>& given) {
  ModelPlaces places;
  for (const std::string& text : given) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos)
      throw ConfigError(fmt::format("--model \"{}\": give NAME=PLACE, such as hubert=models/hubert", text));
    places[text.substr(0, equals)] = text.substr(equals + 1);
  }
  return places;
}

/// The line of one utterance; none if its audio cannot be used, which is said.
std::optional<std::string> predict_one(const Predictor& predictor, const Utterance& utterance) {
  at::set_num_threads(1);  // as features were extracted
  try {
    Json line = predictor.predict(read_audio(utterance.audio, {utterance.offset, utterance.duration}));
    line["id"] = utterance.id;
    return line.dump();
  } catch (const DataError& e) {
    log_warning("{}: utterance \"{}\" is left out: {}", utterance.place, utterance.id, e.what());
    return std::nullopt;
  }
}

int predict(const Arguments& given, const ModelSearch& search) {
  std::vector<Utterance> utterances;
  for (const std::string& path : given.audio) {
    for (Utterance& utterance : read_utterances(path)) utterances.push_back(std::move(utterance));
  }
  const Predictor predictor(given.trial, search.hub_cache, read_places(given.models));
  const auto cores = static_cast<std::size_t>(share_of_cores(1));
  std::deque<std::future<std::optional<std::string>>> ahead;  // in the order of the utterances
  int code = kExitDone;
  for (std::size_t next = 0; next < utterances.size() || !ahead.empty();) {
    if (next < utterances.size() && ahead.size() < cores) {
      ahead.push_back(std::async(std::launch::async, predict_one, std::cref(predictor), std::cref(utterances[next++])));
      continue;
    }
    const std::optional<std::string> line = ahead.front().get();
    ahead.pop_front();
    if (line) fmt::print("{}\n", *line);
    if (!line) code = kExitPartial;
  }
  return code;
}

}  // namespace

void add_predict(CLI::App& app, Session& session) {
  const auto given = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand(
      "predict", "Applies a trained trial to new audio, its upstreams included; prints a JSON line an utterance.");
  command->add_option("trial", given->trial, "folder of a finished trial, OUTPUT/trials/<id>")->required();
  command->add_option("audio", given->audio, "audio files, manifests (.jsonl), or folders of corpora")->required();
  command->add_option("--model", given->models, "NAME=PLACE: where an upstream of the study is now");
  command->footer("Example:\n  strata predict runs/quick/trials/0f9e1ce63a8a67fe recording.wav");
  command->callback(
      [&session, given] { session.run = [&session, given] { return predict(*given, session.model_search()); }; });
}

}  // namespace strata
