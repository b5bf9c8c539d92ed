#include "data/corpora/debian_recordings.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cctype>
#include <cmath>
#include <thread>

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "data/audio/audio.h"
#include "data/corpora/fillets_script.h"
#include "data/manifest/json_lines.h"

namespace strata {
namespace {

constexpr double kShortestSeconds = 0.3;
constexpr float kQuietestPeak = 0.01f;

/// Regular files below `folder` with one of the endings, sorted; links are not followed (they lead to other voices).
std::vector<fs::path> files_below(const fs::path& folder, const std::vector<std::string>& endings) {
  std::vector<fs::path> found;
  if (!fs::is_directory(folder)) return found;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const std::string ending = entry.path().extension();
    if (!entry.is_symlink() && entry.is_regular_file() && std::count(endings.begin(), endings.end(), ending) > 0) {
      found.push_back(entry.path());
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

/// "digits/1" as part of an id: "digits.1".
std::string dotted(std::string name) {
  std::replace(name.begin(), name.end(), '/', '.');
  return name;
}

void sort_by_id(std::vector<DebianRecording>& recordings) {
  std::sort(recordings.begin(), recordings.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
}

struct AsteriskVoice {
  std::string speaker;
  std::string language;
};

/// "es_MX_f_Allison" -> allison, es. No speaker if the folder is no voice.
AsteriskVoice asterisk_voice(const std::string& folder) {
  if (folder == "es") return {"jimenez", "es"};
  if (folder == "fr") return {"armelle", "fr"};
  const bool named = folder.size() > 8 && folder[2] == '_' && folder[5] == '_' && folder[7] == '_';
  if (!named) return {};
  std::string speaker = folder.substr(8);
  std::transform(speaker.begin(), speaker.end(), speaker.begin(), [](unsigned char c) { return std::tolower(c); });
  return {speaker, folder.substr(0, 2)};
}

bool is_asterisk_speech(const std::string& prompt) {
  static const std::array<std::string, 8> sounds = {
      "ascending-2tone",  "beep",       "beeperr",   "confbridge-join", "confbridge-leave",
      "descending-2tone", "spy-jingle", "tt-monkeys"};
  return !prompt.starts_with("silence/") && std::find(sounds.begin(), sounds.end(), prompt) == sounds.end();
}

void read_asterisk_voice(const fs::path& folder, const AsteriskVoice& voice, std::vector<DebianRecording>& recordings,
                         SkipCounts& skipped) {
  std::map<std::string, fs::path> prompts;
  for (const fs::path& file : files_below(folder, {".gsm", ".wav"})) {
    const std::string prompt = file.lexically_relative(folder).replace_extension().string();
    if (file.extension() == ".gsm" || !prompts.contains(prompt)) prompts[prompt] = file;
  }
  for (const auto& [prompt, file] : prompts) {
    if (!is_asterisk_speech(prompt)) {
      ++skipped["no_speech"];
      continue;
    }
    DebianRecording r;
    r.id = folder.filename().string() + "." + dotted(prompt);
    r.audio = file;
    r.source = "asterisk";
    r.speaker = voice.speaker;
    r.language = voice.language;
    // "conf-adminmenu-162" is the menu of another version of Asterisk, in almost the same words.
    r.prompt = "asterisk/" + (prompt.ends_with("-162") ? prompt.substr(0, prompt.size() - 4) : prompt);
    recordings.push_back(std::move(r));
  }
}

/// The description of a stamp: English is the first line, other languages follow as "<ll>.utf8=<text>".
std::string stamp_text(const fs::path& file, const std::string& language) {
  std::string text;
  if (!fs::is_regular_file(file)) return text;
  const std::string key = language + ".utf8=";
  for_each_line(read_file(file), [&](std::int64_t line, std::string_view content) {
    if (language == "en" && line == 1) text = content;
    if (content.starts_with(key)) text = content.substr(key.size());
  });
  return text;
}

}  // namespace

std::vector<DebianRecording> read_asterisk(const fs::path& root, SkipCounts& skipped) {
  std::vector<DebianRecording> recordings;
  const fs::path sounds = root / "usr/share/asterisk/sounds";
  if (!fs::is_directory(sounds)) return recordings;
  for (const auto& entry : fs::directory_iterator(sounds)) {
    const AsteriskVoice voice = asterisk_voice(entry.path().filename());
    if (entry.is_symlink() || !entry.is_directory() || voice.speaker.empty()) continue;
    read_asterisk_voice(entry.path(), voice, recordings, skipped);
  }
  sort_by_id(recordings);
  return recordings;
}

std::vector<DebianRecording> read_fillets(const fs::path& root, SkipCounts& skipped) {
  std::vector<DebianRecording> recordings;
  const fs::path game = root / "usr/share/games/fillets-ng";
  std::map<std::string, FilletsScript> scripts;  // by language
  for (const char* language : {"cs", "nl"}) scripts.emplace(language, read_fillets_script(game / "script", language));
  for (const fs::path& file : files_below(game / "sound", {".ogg"})) {
    const std::string language = file.parent_path().filename();
    const auto script = scripts.find(language);
    if (script == scripts.end()) continue;  // "en": sound effects
    const std::string level = file.parent_path().parent_path().lexically_relative(game / "sound").string();
    const auto line = script->second.find({level.starts_with("share/") ? "share" : level, file.stem().string()});
    if (line == script->second.end() || line->second.speaker.empty()) {
      ++skipped["no_speech"];
      continue;
    }
    DebianRecording r;
    r.id = fmt::format("fillets.{}.{}.{}", language, dotted(level), file.stem().string());
    r.audio = file;
    r.source = "fillets";
    r.speaker = fmt::format("fillets-{}-{}", language, line->second.speaker);
    r.language = language;
    r.prompt = fmt::format("fillets/{}/{}", level, file.stem().string());
    r.section = "fillets/" + level;
    r.text = line->second.text;
    recordings.push_back(std::move(r));
  }
  sort_by_id(recordings);
  return recordings;
}

std::vector<DebianRecording> read_tuxpaint(const fs::path& root, SkipCounts& skipped) {
  std::vector<DebianRecording> recordings;
  const fs::path stamps = root / "usr/share/tuxpaint/stamps";
  for (const fs::path& file : files_below(stamps, {".ogg"})) {
    const std::string stem = file.stem();
    const std::size_t mark = stem.rfind("_desc");
    const std::string ending = mark == std::string::npos ? "?" : stem.substr(mark + 5);
    const bool good = ending.empty() || (ending.starts_with('_') && ending.find('.') == std::string::npos);
    if (!good) {  // a sound effect, or a second copy: one stamp has "_desc_da.ogg.ogg" too
      ++skipped["no_speech"];
      continue;
    }
    const std::string language = ending.empty() ? "en" : ending.substr(1), stamp = stem.substr(0, mark);
    const std::string name = (file.parent_path() / stamp).lexically_relative(stamps).string();
    DebianRecording r;
    r.id = fmt::format("tuxpaint.{}.{}", language, dotted(name));
    r.audio = file;
    r.source = "tuxpaint";
    r.speaker = "tuxpaint-" + language;
    r.language = language.substr(0, 2);
    r.prompt = r.section = "tuxpaint/" + name;
    r.text = stamp_text(file.parent_path() / (stamp + ".txt"), language);
    recordings.push_back(std::move(r));
  }
  sort_by_id(recordings);
  return recordings;
}

void keep_audible(std::vector<DebianRecording>& recordings, SkipCounts& skipped) {
  std::vector<const char*> reasons(recordings.size(), nullptr);
  std::vector<std::string> errors(recordings.size());
  std::atomic<std::size_t> next = 0;
  const auto work = [&] {
    for (std::size_t i; (i = next++) < recordings.size();) {
      DebianRecording& r = recordings[i];
      try {
        const std::vector<float> samples = read_audio(r.audio);
        r.duration = audio_info(r.audio).duration_seconds();
        const bool silent =
            std::none_of(samples.begin(), samples.end(), [](float x) { return std::abs(x) >= kQuietestPeak; });
        if (r.duration < kShortestSeconds) {
          reasons[i] = "too_short";
        } else if (silent) {
          reasons[i] = "silent";
        }
      } catch (const DataError& e) {
        reasons[i] = "unreadable";
        errors[i] = e.what();
      }
    }
  };
  std::vector<std::jthread> threads;
  for (unsigned t = 0; t < std::max(1u, std::thread::hardware_concurrency()); ++t) threads.emplace_back(work);
  threads.clear();  // joins

  std::vector<DebianRecording> kept;
  for (std::size_t i = 0; i < recordings.size(); ++i) {
    if (reasons[i] == nullptr) {
      kept.push_back(std::move(recordings[i]));
    } else {
      ++skipped[reasons[i]];
      if (!errors[i].empty()) log_warning("skipped: {}", errors[i]);
    }
  }
  recordings = std::move(kept);
}

}  // namespace strata
