#include "trainers/pretrain/selection.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>

#include "core/base/error.h"
#include "core/base/nearest.h"

namespace strata {
namespace {

using Chosen = std::map<std::string, std::set<std::size_t>>;  // by corpus

[[noreturn]] void fail(const PretrainStudy& study, const char* key, const std::string& message) {
  throw ConfigError(fmt::format("{} /pretrain/speech/{}: {}", study.file.string(), key, message));
}

/// Adds the utterances of `corpus` that "task.split" names; "*" for the task is any, and may be none.
void add_split(const PretrainStudy& study, const char* key, const Corpus& corpus, const std::string& split,
               std::set<std::size_t>& chosen) {
  const std::size_t dot = split.find('.');
  if (dot == std::string::npos)
    fail(study, key, fmt::format("\"{}\" is no split; write task.split, such as sid.train", split));
  const std::string task = split.substr(0, dot), name = split.substr(dot + 1);
  if (task == "*") {
    for (const Split& s : corpus.splits()) {
      if (s.name == name || s.name.ends_with("." + name)) chosen.insert(s.utterances.begin(), s.utterances.end());
    }
    return;
  }
  const Split& s = corpus.split(task, name);
  chosen.insert(s.utterances.begin(), s.utterances.end());
}

Chosen choose(const PretrainStudy& study, const std::map<std::string, Corpus>& corpora, const char* key,
              const std::vector<std::string>& entries) {
  Chosen chosen;
  for (const std::string& entry : entries) {
    const std::size_t slash = entry.find('/');
    const std::string wanted = entry.substr(0, slash);
    std::vector<std::string> known;
    bool found = false;
    for (const auto& [name, corpus] : corpora) {
      known.push_back(name);
      if (wanted != "*" && wanted != name) continue;
      found = true;
      if (slash != std::string::npos) {
        add_split(study, key, corpus, entry.substr(slash + 1), chosen[name]);
      } else {
        for (std::size_t u = 0; u < corpus.utterances().size(); ++u) chosen[name].insert(u);
      }
    }
    if (!found) {
      const std::string hint = did_you_mean(wanted, known);
      fail(study, key,
           fmt::format("the study has no corpus \"{}\"{} known: {}", wanted, hint.empty() ? ";" : hint,
                       fmt::join(known, ", ")));
    }
  }
  return chosen;
}

std::string speaker_of(const Utterance& utterance) {
  const auto speaker = utterance.fields.find("speaker");
  return speaker != utterance.fields.end() && speaker->is_string() ? speaker->get<std::string>() : "";
}

/// What must not be read, whatever the corpus.
struct HeldOut {
  std::set<std::string> ids, speakers;
  bool holds(const Utterance& utterance) const {
    return ids.contains(utterance.id) || speakers.contains(speaker_of(utterance));
  }
};

HeldOut hold_out(const PretrainStudy& study, const std::map<std::string, Corpus>& corpora) {
  HeldOut held;
  for (const auto& [name, indices] : choose(study, corpora, "held_out", study.speech.held_out)) {
    for (const std::size_t u : indices) held.ids.insert(corpora.at(name).utterances()[u].id);
  }
  for (const auto& [name, indices] : choose(study, corpora, "held_out_speakers", study.speech.held_out_speakers)) {
    for (const std::size_t u : indices) {
      const Utterance& utterance = corpora.at(name).utterances()[u];
      const std::string speaker = speaker_of(utterance);
      if (speaker.empty())
        fail(study, "held_out_speakers", fmt::format("{}: \"{}\" has no speaker", utterance.place, utterance.id));
      held.ids.insert(utterance.id);
      held.speakers.insert(speaker);
    }
  }
  return held;
}

}  // namespace

SpeechSelection select_speech(const PretrainStudy& study, const std::map<std::string, Corpus>& corpora) {
  const HeldOut held = hold_out(study, corpora);
  Chosen listed = choose(study, corpora, "train", study.speech.train);
  const Chosen dev = choose(study, corpora, "dev", study.speech.dev);
  for (const auto& [name, indices] : dev) listed[name].insert(indices.begin(), indices.end());
  std::set<std::string> dev_ids;
  for (const auto& [name, indices] : dev) {
    for (const std::size_t u : indices) dev_ids.insert(corpora.at(name).utterances()[u].id);
  }
  SpeechSelection selection;
  std::size_t train = 0;
  for (const auto& [name, indices] : listed) {
    const auto dev_of = dev.find(name);
    for (const std::size_t u : indices) {
      const Utterance& utterance = corpora.at(name).utterances()[u];
      const bool is_dev = dev_of != dev.end() && dev_of->second.contains(u);
      if (held.holds(utterance)) {
        selection.held_out += 1;
      } else if (is_dev) {
        selection.read[name].push_back(u);
        selection.dev.insert(name + "/" + utterance.id);
      } else if (!dev_ids.contains(utterance.id)) {
        selection.read[name].push_back(u);
        train += 1;
      }
    }
  }
  if (train == 0)
    fail(study, "train",
         fmt::format("nothing is left to train on: {} utterances are held out, {} are dev", selection.held_out,
                     selection.dev.size()));
  return selection;
}

}  // namespace strata
