#include "data/manifest/layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "core/base/error.h"

namespace strata {

namespace fs = std::filesystem;

bool is_split_file(const fs::path& path) {
  return path.extension() == ".txt" && path.stem().string().find('.') != std::string::npos;
}

void check_id(const std::string& id, const std::string& place) {
  const bool control = std::any_of(id.begin(), id.end(), [](char c) { return static_cast<unsigned char>(c) < 32; });
  if (id.empty() || control || id.front() == ' ' || id.back() == ' ') {
    throw ConfigError(fmt::format(
        "{}: the id \"{}\" is empty, holds a control character, or starts or ends with a blank", place, id));
  }
}

void check_unique_ids(const std::vector<Utterance>& utterances) {
  std::unordered_map<std::string_view, const Utterance*> seen;
  seen.reserve(utterances.size());
  for (const Utterance& u : utterances) {
    const auto [first, added] = seen.emplace(u.id, &u);
    if (!added) {
      throw ConfigError(fmt::format("{}: the id \"{}\" was given already in {}", u.place, u.id, first->second->place));
    }
  }
}

void check_audio_files(const std::vector<Utterance>& utterances) {
  std::unordered_set<std::string_view> present;  // many utterances may be parts of one recording
  const Utterance* first_missing = nullptr;
  std::size_t missing = 0;
  for (const Utterance& u : utterances) {
    if (present.contains(u.audio.native())) continue;
    std::error_code ignored;
    if (fs::is_regular_file(u.audio, ignored)) {
      present.insert(u.audio.native());
    } else {
      ++missing;
      if (first_missing == nullptr) first_missing = &u;
    }
  }
  if (missing == 0) return;
  throw ConfigError(fmt::format("{}: there is no audio file {}{}", first_missing->place, first_missing->audio.string(),
                                missing == 1 ? "" : fmt::format(" (and {} more utterances lack theirs)", missing - 1)));
}

}  // namespace strata
