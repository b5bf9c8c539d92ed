#include "trainers/pretrain/card.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

namespace strata {
namespace {

constexpr std::size_t kCurveRows = 20;

/// What the journal says of a pass, as the table has it.
struct Measure {
  const char* key;
  const char* title;
  double scale;
  int digits;
};
constexpr Measure kMeasures[] = {{"loss", "loss", 1, 4},
                                 {"accuracy", "accuracy %", 100, 1},
                                 {"target_spread", "target spread", 1, 3},
                                 {"prediction_spread", "prediction spread", 1, 3}};

std::string shown(const Json& sums, const Measure& measure) {
  const auto found = sums.find(measure.key);
  return found == sums.end() || !found->is_number()
             ? "–"
             : fmt::format("{:.{}f}", measure.scale * found->get<double>(), measure.digits);
}

/// The loss curve: evaluations beside the last training record before each; records alone where there is no dev. Only
/// columns that have something in them: what predicts no units has no accuracy, what has no teacher no spread.
std::string curve(const std::vector<Json>& history) {
  struct Row {
    Json step, train, dev;
  };
  const bool validated =
      std::any_of(history.begin(), history.end(), [](const Json& e) { return e.at("event") == "evaluation"; });
  std::vector<Row> rows;
  Json train = Json::object();
  for (const Json& event : history) {
    const bool evaluation = event.at("event") == "evaluation";
    if (!evaluation) train = event;
    if (evaluation || !validated)
      rows.push_back({event.at("step"), train, evaluation ? event.at("dev") : Json::object()});
  }
  std::string title = "| step |", rule = "| ---: |";
  std::vector<std::string> lines;
  for (const Row& row : rows) lines.push_back(fmt::format("| {} |", row.step.dump()));
  for (const auto& [name, part] : {std::pair{"train", &Row::train}, std::pair{"dev", &Row::dev}}) {
    for (const Measure& measure : kMeasures) {
      if (std::none_of(rows.begin(), rows.end(), [&](const Row& row) { return (row.*part).contains(measure.key); }))
        continue;
      title += fmt::format(" {} {} |", name, measure.title);
      rule += " ---: |";
      for (std::size_t r = 0; r < rows.size(); ++r) lines[r] += fmt::format(" {} |", shown(rows[r].*part, measure));
    }
  }
  std::string table = title + "\n" + rule + "\n";
  const std::size_t every = std::max<std::size_t>(1, (rows.size() + kCurveRows - 1) / kCurveRows);
  for (std::size_t r = 0; r < rows.size(); ++r) {
    if ((rows.size() - 1 - r) % every == 0) table += lines[r] + "\n";
  }
  return table;
}

std::string unit_text(const Json& units) {
  if (units.is_null()) return "";
  return fmt::format(
      "Units: {} clusters by k-means of {} frames of {}, one every {} samples; inertia {:.6g} a frame (starts: {}), {} "
      "empty.\n",
      units.at("clusters").dump(), units.at("frames").dump(), units.at("source").get<std::string>(),
      units.at("hop_samples").dump(), units.at("inertia").get<double>(), units.at("start_inertias").dump(),
      units.at("empty").dump());
}

/// The study's list of splits, as code; empty if it has none.
std::string splits(const Json& speech, const char* key) {
  const auto found = speech.find(key);
  if (found == speech.end() || found->empty()) return "";
  return fmt::format("`{}`", fmt::join(found->get<std::vector<std::string>>(), "`, `"));
}

/// What was never read, in words.
std::string held_out_text(const Json& speech) {
  const std::string utterances = splits(speech, "held_out"), speakers = splits(speech, "held_out_speakers");
  if (utterances.empty() && speakers.empty()) return "Nothing was held out.\n\n";
  std::string of = utterances.empty() ? "" : "the utterances of " + utterances;
  if (!speakers.empty()) {
    of += fmt::format("{}the utterances of {} with all others of their speakers", of.empty() ? "" : "; and ", speakers);
  }
  return fmt::format(
      "Held out: {}. These utterances were never read, whatever corpus lists them: not to train, not to validate, not "
      "to make units.\n\n",
      of);
}

std::string training_text(const Json& model, double seconds, const Json& provenance) {
  return fmt::format("Seed {}, {} steps of at most {} s of audio, {:.0f} s on {} ranks.\n", model.at("seed").dump(),
                     model.at("steps").dump(), model.at("batch_seconds").dump(), seconds, provenance.value("ranks", 1));
}

std::string command_text(const Json& provenance) {
  const std::int64_t ranks = provenance.value("ranks", 1);
  return (ranks > 1 ? fmt::format("mpirun -np {} ", ranks) : "") + provenance.value("command", "");
}

/// The models of the same study that the units come from.
std::string sources_text(const std::vector<Json>& records) {
  std::string text;
  for (const Json& record : records) {
    text += fmt::format(
        "## {}, which the units come from\n\nTrained before on the same speech. {}{}\n```json\n{}\n```\n\n",
        record.at("name").get<std::string>(), unit_text(record.at("units")),
        training_text(record.at("model"), record.at("seconds"), record.at("provenance")), record.at("model").dump(2));
  }
  return text;
}

}  // namespace

std::string model_card(const CardFacts& f) {
  const std::string licence = f.speech.value("licence", "");
  Json versions = f.provenance;
  for (const char* own : {"command", "host", "ranks"}) versions.erase(own);
  return fmt::format(
      "# {}\n\n"
      "Pre-trained by Strata without labels. Trained parameters, heads included: {}.\n"
      "SHA-256 of model.safetensors: {}\n\n"
      "## Data\n\n"
      "{:.2f} hours in {} utterances of {} to train on, {:.2f} hours in {} to validate. Left out: {} held out, {} "
      "shorter than {} s or than a frame, "
      "{} that could not be decoded. Of utterances longer than {} s a random part is taken, another one each time.\n\n"
      "{}"
      "Licence of the speech: {}\n\n"
      "## Training\n\n"
      "{}{}\n"
      "    {}\n\n"
      "```json\n{}\n```\n\n"
      "{}"
      "## Loss\n\n{}\n"
      "## Versions\n\n```json\n{}\n```\n",
      f.name, f.parameters, f.weights_sha256, f.train_hours, f.train_utterances, fmt::join(f.corpora, ", "),
      f.dev_hours, f.dev_utterances, f.held_out, f.too_short, f.speech.at("min_seconds").dump(), f.failed,
      f.speech.at("max_seconds").dump(), held_out_text(f.speech), licence.empty() ? "not given" : licence,
      unit_text(f.units), training_text(f.model, f.seconds, f.provenance), command_text(f.provenance),
      Json{{"model", f.model}, {"speech", f.speech}}.dump(2), sources_text(f.unit_models), curve(f.history),
      versions.dump(2));
}

}  // namespace strata
