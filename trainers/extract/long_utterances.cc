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
  Json record = {{"utterances", ids}};
  if (is_recorded(path, record, upstream, taps)) return;
  std::string reason = "none of them is as long as the manifest says";
  for (const std::string& id : ids) {
    try {
      std::vector<float> audio = read(id);
      const std::int64_t samples = samples_to_measure(upstream, static_cast<std::int64_t>(audio.size()));
      if (!upstream.in_windows(samples)) continue;
      log_info("extract: {} utterances are computed in windows; measuring what that changes on {:.0f} s of \"{}\"",
               ids.size(), static_cast<double>(samples) / kSampleRateHz, id);
      const Json change = measure_windows(upstream, taps, at::from_blob(audio.data(), {samples}, at::kFloat));
      record.update({{"measured_on", id}, {"measured_samples", samples}, {"change", change}});
      break;
    } catch (const DataError& e) {
      reason = e.what();  // it is left out when its turn comes, or is measured on another one
    }
  }
  if (!record.contains("change")) {
    record["not_measured"] = reason;
    log_warning("extract: {}: what windows change was not measured: {}", corpus_folder.filename().string(), reason);
  }
  write_file_atomically(path, record.dump(1) + "\n");
}

std::string long_utterances_text(const fs::path& path) {
  const Json record = read_json(path);
  const Json change = record.is_object() ? record.value("change", Json()) : Json();
  if (!record.contains("utterances") || !record["utterances"].is_array() || !(change.is_null() || change.is_object())) {
    throw DataError(fmt::format("{}: not a record of long utterances; `strata extract` makes it anew", path.string()));
  }
  return fmt::format("{} utterances are computed in windows: {}", record["utterances"].size(),
                     change.is_null() ? "what that changes was not measured" : change.dump());
}

}  // namespace strata
