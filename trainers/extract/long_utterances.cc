#include "trainers/extract/long_utterances.h"

#include <ATen/ops/from_blob.h>
#include <fmt/format.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "trainers/extract/changes.h"

namespace strata {
namespace {

constexpr const char* kFile = "long-utterances.json";

// A quarter more than the longest that is not cut: as a whole it takes time with the square of that.
std::int64_t samples_to_measure(const Upstream& upstream, std::int64_t samples) {
  std::int64_t whole = 0, cut = samples;
  while (cut - whole > 1) {
    const std::int64_t middle = whole + (cut - whole) / 2;
    (upstream.in_windows(middle) ? cut : whole) = middle;
  }
  return std::min(samples, cut + cut / 4);
}

/// True if the record is there, of these utterances, and of these taps if any could be measured; one that is broken is
/// made anew.
bool is_recorded(const fs::path& path, const std::vector<std::string>& ids, const Upstream& upstream,
                 const std::vector<std::size_t>& taps) {
  try {
    if (!fs::exists(path)) return false;
    const Json record = read_json(path);
    if (record.at("utterances") != Json(ids)) return false;
    return !record.contains("change") || std::all_of(taps.begin(), taps.end(), [&](std::size_t tap) {
      return record.at("change").contains(upstream.spec().taps[tap].name);
    });
  } catch (const Json::exception&) {
    return false;
  } catch (const ConfigError&) {
    return false;
  }
}

}  // namespace

Json measure_windows(const Upstream& upstream, const std::vector<std::size_t>& taps, const at::Tensor& wave) {
  return change_by_tap(upstream, taps, upstream.forward_whole(wave, taps), upstream.forward(wave, taps));
}

void record_long_utterances(const fs::path& corpus_folder, const Upstream& upstream,
                            const std::vector<std::size_t>& taps, const std::vector<PlannedUtterance>& utterances,
                            const std::function<std::vector<float>(const std::string& id)>& read) {
  std::vector<std::string> ids;
  for (const PlannedUtterance& utterance : utterances) {
    if (upstream.in_windows(utterance.samples)) ids.push_back(utterance.id);
  }
  if (ids.empty()) return;
  const fs::path path = corpus_folder / kFile;
  if (is_recorded(path, ids, upstream, taps)) return;
  Json record = {{"utterances", ids}};
  for (const std::string& id : ids) {
    try {
      std::vector<float> audio = read(id);
      const std::int64_t samples = samples_to_measure(upstream, static_cast<std::int64_t>(audio.size()));
      if (!upstream.in_windows(samples)) continue;  // shorter than the manifest says
      log_info("extract: {} utterances are computed in windows; measuring what that changes on {:.0f} s of \"{}\"",
               ids.size(), static_cast<double>(samples) / kSampleRateHz, id);
      record["measured_on"] = id;
      record["measured_samples"] = samples;
      record["change"] = measure_windows(upstream, taps, at::from_blob(audio.data(), {samples}, at::kFloat));
      break;
    } catch (const DataError&) {
      // It is left out when its turn comes, with this reason.
    }
  }
  write_file_atomically(path, record.dump(1) + "\n");
}

std::string long_utterances_text(const fs::path& path) {
  const Json record = read_json(path);
  const Json change = record.is_object() ? record.value("change", Json()) : Json();
  if (!record.contains("utterances") || !record["utterances"].is_array() || !(change.is_null() || change.is_object())) {
    throw DataError(fmt::format("{}: not a record of long utterances; `strata extract` makes it anew", path.string()));
  }
  return fmt::format("{} utterances are computed in windows: {}", record["utterances"].size(), change.dump());
}

}  // namespace strata
