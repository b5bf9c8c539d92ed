#include "trainers/pretrain/card.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace strata {
namespace {

constexpr std::size_t kCurveRows = 20;

std::string shown_number(const Json& object, const char* key, int digits) {
  const auto found = object.find(key);
  return found == object.end() || !found->is_number() ? "–" : fmt::format("{:.{}f}", found->get<double>(), digits);
}

std::string percent(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() || !found->is_number() ? "–" : fmt::format("{:.1f}", 100 * found->get<double>());
}

/// The loss curve: evaluations beside the last training record before each; records alone where there is no dev.
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
  std::string table =
      "| step | train loss | train accuracy % | dev loss | dev accuracy % |\n| ---: | ---: | ---: | ---: | ---: |\n";
  const std::size_t every = std::max<std::size_t>(1, (rows.size() + kCurveRows - 1) / kCurveRows);
  for (std::size_t r = 0; r < rows.size(); ++r) {
    if ((rows.size() - 1 - r) % every != 0) continue;
    table += fmt::format("| {} | {} | {} | {} | {} |\n", rows[r].step.dump(), shown_number(rows[r].train, "loss", 4),
                         percent(rows[r].train, "accuracy"), shown_number(rows[r].dev, "loss", 4),
                         percent(rows[r].dev, "accuracy"));
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

}  // namespace

std::string model_card(const CardFacts& f) {
  const std::string licence = f.speech.value("licence", "");
  Json versions = f.provenance;
  for (const char* own : {"command", "host", "ranks"}) versions.erase(own);
  return fmt::format(
      "# {}\n\n"
      "Pre-trained by Strata without labels. Trained parameters, heads included: {}.\n\n"
      "## Data\n\n"
      "{:.2f} hours in {} utterances of {} to train on, {:.2f} hours in {} to validate. Left out: {} held out, {} "
      "shorter than {} s or than a frame, "
      "{} that could not be decoded. Of utterances longer than {} s a random part is taken, another one each time.\n\n"
      "Licence of the speech: {}\n\n"
      "## Training\n\n"
      "{}Seed {}, {} steps of at most {} s of audio, {:.0f} s on {} ranks.\n\n"
      "    {}\n\n"
      "```json\n{}\n```\n\n"
      "## Loss\n\n{}\n"
      "## Versions\n\n```json\n{}\n```\n",
      f.name, f.parameters, f.train_hours, f.train_utterances, fmt::join(f.corpora, ", "), f.dev_hours,
      f.dev_utterances, f.held_out, f.too_short, f.speech.at("min_seconds").dump(), f.failed,
      f.speech.at("max_seconds").dump(), licence.empty() ? "not given" : licence, unit_text(f.units),
      f.model.at("seed").dump(), f.model.at("steps").dump(), f.model.at("batch_seconds").dump(), f.seconds,
      f.provenance.value("ranks", 1), f.provenance.value("command", ""),
      Json{{"model", f.model}, {"speech", f.speech}}.dump(2), curve(f.history), versions.dump(2));
}

}  // namespace strata
