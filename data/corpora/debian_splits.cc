#include "data/corpora/debian_splits.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <unordered_map>

#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/base/random.h"
#include "data/corpora/text.h"

namespace strata {
namespace {

constexpr double kTrainShare = 0.70, kDevShare = 0.15, kAsrShare = 0.10;
constexpr std::size_t kFewestForAsr = 100;

double draw_of(const std::string& name) { return std::ldexp(static_cast<double>(key_of(name) >> 11), -53); }

/// Sets of recordings that share something, joined step by step.
class Groups {
 public:
  explicit Groups(std::size_t count) : parent_(count) { std::iota(parent_.begin(), parent_.end(), std::size_t{0}); }

  std::size_t root(std::size_t i) {
    while (parent_[i] != i) i = parent_[i] = parent_[parent_[i]];
    return i;
  }

  /// Joins `i` with all that had this key before.
  void tie(const std::string& key, std::size_t i) {
    const auto [first, added] = first_with_.emplace(key, i);
    if (!added) parent_[root(i)] = root(first->second);
  }

 private:
  std::vector<std::size_t> parent_;
  std::unordered_map<std::string, std::size_t> first_with_;
};

/// Indices of the recordings of each person with enough of them.
std::map<std::string, std::vector<std::size_t>> large_voices(const std::vector<DebianRecording>& recordings) {
  std::map<std::string, std::vector<std::size_t>> voices;
  for (std::size_t i = 0; i < recordings.size(); ++i) voices[recordings[i].speaker].push_back(i);
  std::erase_if(voices, [](const auto& voice) { return voice.second.size() < kFewestPerVoice; });
  return voices;
}

const char* part_of(double draw) {
  return draw < kTrainShare ? "train" : draw < kTrainShare + kDevShare ? "dev" : "test";
}

/// Which people train and which test each language.
struct LanguageVoices {
  std::set<std::string> train;
  std::set<std::string> test;
};

std::map<std::string, LanguageVoices> choose_voices(const std::vector<DebianRecording>& recordings) {
  std::map<std::string, std::set<std::string>> languages_of;
  std::map<std::string, std::map<std::string, std::size_t>> counts;  // language -> person -> recordings
  for (const auto& [speaker, indices] : large_voices(recordings)) {
    for (const std::size_t i : indices) {
      languages_of[speaker].insert(recordings[i].language);
      ++counts[recordings[i].language][speaker];
    }
  }
  std::map<std::string, LanguageVoices> chosen;
  for (const auto& [language, voices] : counts) {
    LanguageVoices& c = chosen[language];
    const std::string* tester = nullptr;
    for (const auto& [speaker, count] : voices) {
      c.train.insert(speaker);
      const bool one_language = languages_of[speaker].size() == 1;
      if (one_language && (tester == nullptr || count < voices.at(*tester))) tester = &speaker;
    }
    if (tester == nullptr || voices.size() < 2) continue;
    c.train.erase(*tester);
    c.test.insert(*tester);
  }
  return chosen;
}

}  // namespace

std::vector<double> text_draws(const std::vector<DebianRecording>& recordings) {
  Groups groups(recordings.size());
  for (std::size_t i = 0; i < recordings.size(); ++i) {
    const DebianRecording& r = recordings[i];
    const std::string text = normalize_text(r.text);
    groups.tie("prompt " + r.prompt, i);
    if (!text.empty()) groups.tie("text " + r.language + " " + text, i);
    const std::string bytes = read_file(r.audio);
    groups.tie("bytes " + std::to_string(xxh3(std::as_bytes(std::span(bytes)))), i);
  }
  std::map<std::size_t, std::string> names;  // the smallest prompt: does not hang on the order of joining
  for (std::size_t i = 0; i < recordings.size(); ++i) {
    const auto [name, added] = names.emplace(groups.root(i), recordings[i].prompt);
    if (!added) name->second = std::min(name->second, recordings[i].prompt);
  }
  std::vector<double> draws;
  for (std::size_t i = 0; i < recordings.size(); ++i) draws.push_back(draw_of(names.at(groups.root(i))));
  return draws;
}

void add_sid(const std::vector<DebianRecording>& recordings, const std::vector<double>& draws, Splits& splits,
             Json& notes) {
  const auto voices = large_voices(recordings);
  if (voices.size() < 2) return;
  for (std::size_t i = 0; i < recordings.size(); ++i) {
    if (!voices.contains(recordings[i].speaker)) continue;
    splits[std::string("sid.") + part_of(draws[i])].push_back(recordings[i].id);
  }
  for (const auto& [speaker, indices] : voices) notes["sid"]["speakers"][speaker] = indices.size();
}

void add_lid(const std::vector<DebianRecording>& recordings, const std::vector<double>& draws, Splits& splits,
             Json& notes) {
  auto chosen = choose_voices(recordings);
  Json dropped = Json::array();
  for (const auto& [language, voices] : chosen) {
    if (voices.test.empty()) dropped.push_back(language);
  }
  std::erase_if(chosen, [](const auto& item) { return item.second.test.empty(); });
  if (chosen.size() < 2) return;
  for (std::size_t i = 0; i < recordings.size(); ++i) {
    const DebianRecording& r = recordings[i];
    const auto language = chosen.find(r.language);
    if (language == chosen.end()) continue;
    const std::string part = part_of(draws[i]);
    if (language->second.train.contains(r.speaker) && part != "test") splits["lid." + part].push_back(r.id);
    if (language->second.test.contains(r.speaker) && part != "train") splits["lid.test"].push_back(r.id);
  }
  for (const auto& [language, voices] : chosen) {
    notes["lid"]["languages"][language] = {{"train", voices.train}, {"test", voices.test}};
  }
  notes["lid"]["dropped"] = dropped;
}

void add_asr(const std::vector<DebianRecording>& recordings, const std::string& language, Splits& splits, Json& notes) {
  std::map<std::pair<double, std::string>, std::vector<std::size_t>> sections;  // in the order of their hashes
  std::size_t total = 0, with_digits = 0;
  std::vector<std::string> texts(recordings.size());
  for (std::size_t i = 0; i < recordings.size(); ++i) {
    const DebianRecording& r = recordings[i];
    if (r.language != language || r.section.empty()) continue;
    texts[i] = normalize_text(r.text);
    if (texts[i].empty()) continue;
    if (has_digit(texts[i])) {
      ++with_digits;
      continue;
    }
    sections[{draw_of(r.section), r.section}].push_back(i);
    ++total;
  }
  if (total < kFewestForAsr) return;

  std::map<std::string, std::vector<std::size_t>> parts;
  const double wanted = kAsrShare * static_cast<double>(total);
  for (const auto& [section, indices] : sections) {
    const char* part = parts["test"].size() < wanted ? "test" : parts["dev"].size() < wanted ? "dev" : "train";
    parts[part].insert(parts[part].end(), indices.begin(), indices.end());
  }
  std::set<std::string> held_out;
  std::size_t repeated = 0;
  for (const char* part : {"test", "dev", "train"}) {
    std::vector<std::size_t>& indices = parts[part];
    repeated += std::erase_if(indices, [&](std::size_t i) { return held_out.contains(texts[i]); });
    for (const std::size_t i : indices) held_out.insert(texts[i]);
    std::sort(indices.begin(), indices.end());
    for (const std::size_t i : indices) splits[std::string("asr.") + part].push_back(recordings[i].id);
  }
  notes["asr"] = {{"language", language}, {"left_out_with_digits", with_digits}, {"left_out_repeated", repeated}};
}

}  // namespace strata
