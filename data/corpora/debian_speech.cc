#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>

#include "core/base/error.h"
#include "core/base/random.h"
#include "data/corpora/corpus.h"
#include "data/corpora/debian_recordings.h"
#include "data/corpora/debian_splits.h"
#include "data/corpora/phones.h"
#include "data/corpora/text.h"

namespace strata {
namespace {

namespace fs = std::filesystem;

struct DebianSpeechOptions {
  bool quick = true;
  std::vector<std::string> languages;
  std::string asr_language = "nl";
  std::int64_t per_voice = 0;
  bool phones = false;
  void fields(Fields& f) {
    f.flag("quick", quick, "only the packages that tools/fetch_debian_speech fetches without --all");
    f.texts("languages", languages, "only recordings in these, such as nl; none given: all");
    f.text("asr_language", asr_language, "language of the asr splits", {"nl", "cs", "fr", "ru"});
    f.number("per_voice", per_voice, "most utterances of a voice, drawn by text; 0: all", at_least(0));
    f.flag("phones", phones,
           "the asr splits as pr splits too, with the phones of their texts by the program espeak-ng");
  }
};

/// Speech from Debian packages, unpacked below the source by `dpkg -x` (tools/fetch_debian_speech does it); what is not
/// there is not used. Fields: `speaker` (a person), `language`, `text` (see normalize_text) and `raw_text` where the
/// package has it, `prompt` (equal where the text is the same, in any language), `source`. Splits for sid, lid and asr
/// as debian_splits.h says, for pr on request, with the field `phones`; notes count what was skipped. The
/// telephone prompts are 8 kHz, the speech of the games is 22 kHz Vorbis: studies should set the effect `band_limit`,
/// or telling a language is telling a band.
class DebianSpeech : public CorpusPreparer {
 public:
  explicit DebianSpeech(DebianSpeechOptions options) : options_(std::move(options)) {}

  CorpusDraft prepare(const fs::path& source) const override {
    // A program that is missing is told before the work starts.
    if (options_.phones) espeak_phones({"a"}, options_.asr_language);
    SkipCounts skipped;
    std::vector<DebianRecording> recordings = read_asterisk(source, skipped);
    append(recordings, read_fillets(source, skipped));
    if (!options_.quick) append(recordings, read_tuxpaint(source, skipped));
    keep_languages(recordings, skipped);
    keep_audible(recordings, skipped);
    const std::vector<double> draws = keep_per_voice(recordings, skipped);

    CorpusDraft draft;
    draft.name = "debian_speech";
    draft.version = "1";
    add_sid(recordings, draws, draft.splits, draft.notes);
    add_lid(recordings, draws, draft.splits, draft.notes);
    add_asr(recordings, options_.asr_language, draft.splits, draft.notes);
    check_sid(draft.splits, source);
    draft.notes["skipped"] = skipped;
    for (const DebianRecording& r : recordings) draft.utterances.push_back(to_utterance(r));
    if (options_.phones) add_phones(draft);
    return draft;
  }

 private:
  DebianSpeechOptions options_;

  static void append(std::vector<DebianRecording>& all, std::vector<DebianRecording> more) {
    std::move(more.begin(), more.end(), std::back_inserter(all));
  }

  void keep_languages(std::vector<DebianRecording>& recordings, SkipCounts& skipped) const {
    if (options_.languages.empty()) return;
    std::set<std::string> known;
    for (const DebianRecording& r : recordings) known.insert(r.language);
    for (const std::string& language : options_.languages) {
      if (known.contains(language)) continue;
      throw ConfigError(fmt::format("strata prepare /languages: no recording is in \"{}\"; there are {}", language,
                                    fmt::join(known, ", ")));
    }
    const std::size_t others = std::erase_if(recordings, [&](const DebianRecording& r) {
      return std::find(options_.languages.begin(), options_.languages.end(), r.language) == options_.languages.end();
    });
    skipped["other_language"] = static_cast<std::int64_t>(others);
  }

  /// Keeps at most `per_voice` recordings of each person, those with the smallest hash of their prompt, and returns the
  /// draws of what is left, which are those of all in the chosen languages.
  std::vector<double> keep_per_voice(std::vector<DebianRecording>& recordings, SkipCounts& skipped) const {
    const std::vector<double> all = text_draws(recordings);
    if (options_.per_voice == 0) return all;
    std::map<std::string, std::vector<std::pair<std::uint64_t, std::size_t>>> voices;
    for (std::size_t i = 0; i < recordings.size(); ++i) {
      voices[recordings[i].speaker].emplace_back(key_of("per_voice " + recordings[i].prompt), i);
    }
    std::vector<std::size_t> kept;
    for (auto& [speaker, list] : voices) {
      std::sort(list.begin(), list.end());
      list.resize(std::min<std::size_t>(list.size(), static_cast<std::size_t>(options_.per_voice)));
      for (const auto& [hash, i] : list) kept.push_back(i);
    }
    std::sort(kept.begin(), kept.end());
    skipped["over_per_voice"] = static_cast<std::int64_t>(recordings.size() - kept.size());
    std::vector<DebianRecording> few;
    std::vector<double> draws;
    for (const std::size_t i : kept) {
      few.push_back(std::move(recordings[i]));
      draws.push_back(all[i]);
    }
    recordings = std::move(few);
    return draws;
  }

  static void check_sid(const Splits& splits, const fs::path& source) {
    if (splits.contains("sid.train") && splits.contains("sid.dev") && splits.contains("sid.test")) return;
    throw ConfigError(fmt::format(
        "{}: fewer than two voices with {} utterances are unpacked here; unpack at least two of the packages "
        "asterisk-core-sounds-{{en,es,fr,it,ru}}-gsm (or -wav), asterisk-prompt-it-menardi-gsm (or -wav), "
        "asterisk-prompt-es-co, asterisk-prompt-fr-armelle, or fillets-ng-data with fillets-ng-data-nl or -cs "
        "(tools/fetch_debian_speech does it)",
        source.string(), kFewestPerVoice));
  }

  void add_phones(CorpusDraft& draft) const {
    std::map<std::string, Utterance*> by_id;
    for (Utterance& u : draft.utterances) by_id[u.id] = &u;
    std::vector<Utterance*> spoken;
    std::vector<std::string> texts;
    for (const char* part : {"train", "dev", "test"}) {
      const auto ids = draft.splits.find(std::string("asr.") + part);
      if (ids == draft.splits.end()) continue;
      draft.splits[std::string("pr.") + part] = ids->second;
      for (const std::string& id : ids->second) {
        spoken.push_back(by_id.at(id));
        texts.push_back(spoken.back()->fields.at("raw_text"));
      }
    }
    if (texts.empty()) {
      throw ConfigError(
          fmt::format("there are no asr splits in \"{}\" whose texts could become phones: too few of its "
                      "recordings have texts, or `languages` leaves it out",
                      options_.asr_language));
    }
    const std::vector<std::string> phones = espeak_phones(texts, options_.asr_language);
    for (std::size_t i = 0; i < spoken.size(); ++i) spoken[i]->fields["phones"] = phones[i];
  }

  static Utterance to_utterance(const DebianRecording& r) {
    Utterance u;
    u.id = r.id;
    u.audio = r.audio;
    u.duration = r.duration;
    u.place = r.audio.string();
    u.fields = {{"speaker", r.speaker}, {"language", r.language}, {"prompt", r.prompt}, {"source", r.source}};
    if (const std::string text = normalize_text(r.text); !text.empty()) {
      u.fields["text"] = text;
      u.fields["raw_text"] = r.text;
    }
    return u;
  }
};

STRATA_REGISTER_CORPUS("debian_speech", DebianSpeechOptions, DebianSpeech,
                       "spoken prompts and dialogues from Debian packages");

}  // namespace
}  // namespace strata
