#include "data/corpora/splits.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/random.h"
#include "data/audio/audio.h"

namespace strata {
namespace {

constexpr std::array<const char*, 3> kNames = {"train", "dev", "test"};

std::string field_text(const Utterance& u, const std::string& field, const char* option) {
  if (field == "id") return u.id;
  const auto found = u.fields.find(field);
  if (found == u.fields.end() || found->is_null()) {
    throw ConfigError(
        fmt::format("{}: utterance \"{}\" has no \"{}\", which {} asks for", u.place, u.id, field, option));
  }
  return found->is_string() ? found->get<std::string>() : found->dump();
}

std::string split_name(const std::string& value, const Utterance& u) {
  static const std::array<std::string, 4> dev = {"valid", "val", "validation", "development"};
  if (std::find(dev.begin(), dev.end(), value) != dev.end()) return "dev";
  const bool good = !value.empty() && std::all_of(value.begin(), value.end(), [](unsigned char c) {
    return std::isalnum(c) || c == '-' || c == '_' || c == '.';
  });
  if (!good) throw ConfigError(fmt::format("{}: \"{}\" cannot name a split", u.place, value));
  return value;
}

void check_ratios(const std::vector<double>& ratios) {
  double sum = 0;
  for (const double r : ratios) sum += r;
  const bool negative = std::any_of(ratios.begin(), ratios.end(), [](double r) { return r < 0; });
  if (ratios.size() != 3 || negative || std::abs(sum - 1) > 1e-6) {
    throw ConfigError(fmt::format("ratios: {} is not allowed; takes three shares (train, dev, test) that sum to 1",
                                  Json(ratios).dump()));
  }
}

std::string split_by_ratio(const std::string& value, const std::vector<double>& ratios) {
  const double draw = std::ldexp(static_cast<double>(key_of(value) >> 11), -53);
  if (draw < ratios[0]) return kNames[0];
  return draw < ratios[0] + ratios[1] ? kNames[1] : kNames[2];
}

}  // namespace

void assign_splits(CorpusDraft& draft, const SplitOptions& options) {
  if (options.tasks.empty()) return;
  const bool parts = std::any_of(draft.utterances.begin(), draft.utterances.end(),
                                 [](const Utterance& u) { return u.fields.contains(kPartField); });
  const bool by_ratio = options.split_column.empty() && !parts;
  if (by_ratio) check_ratios(options.ratios);
  std::map<std::string, std::vector<std::string>> ids;
  if (by_ratio) {
    for (std::size_t i = 0; i < 3; ++i) {
      if (options.ratios[i] > 0) ids[kNames[i]];
    }
  }
  for (const Utterance& u : draft.utterances) {
    std::string name;
    if (!options.split_column.empty()) {
      name = split_name(field_text(u, options.split_column, "split_column"), u);
    } else if (parts) {
      name = split_name(field_text(u, kPartField, "the layout"), u);
    } else {
      name = split_by_ratio(field_text(u, options.split_by, "split_by"), options.ratios);
    }
    ids[name].push_back(u.id);
  }
  for (const auto& [name, list] : ids) {
    if (list.empty()) {
      throw ConfigError(fmt::format("no value of \"{}\" falls into {}: too few for ratios, use split_column",
                                    options.split_by, name));
    }
    for (const std::string& task : options.tasks) draft.splits[task + "." + name] = list;
  }
}

void fill_durations(CorpusDraft& draft) {
  std::size_t unreadable = 0;
  std::error_code ignored;
  for (Utterance& u : draft.utterances) {
    if (u.duration || !std::filesystem::is_regular_file(u.audio, ignored))
      continue;  // the writer names what is missing
    try {
      const double rest = audio_info(u.audio).duration_seconds() - u.offset;
      if (rest <= 0) throw DataError(fmt::format("{}: ends before the offset of {} s", u.audio.string(), u.offset));
      u.duration = rest;
    } catch (const DataError& e) {
      log_warning("{}: {}", u.place, e.what());
      ++unreadable;
    }
  }
  if (unreadable > 0) draft.notes["unreadable"] = unreadable;
}

}  // namespace strata
