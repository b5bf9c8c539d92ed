#include "trainers/extract/long_utterances.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/base/log.h"

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

double ratio(const at::Tensor& difference, const at::Tensor& whole, bool rms) {
  const auto size = [&](const at::Tensor& x) {
    return (rms ? x.square().mean().sqrt() : x.abs().max()).item<double>();
  };
  const double of_whole = size(whole);
  return of_whole > 0 ? size(difference) / of_whole : 0.0;
}

/// True if a record is of these utterances, and of these taps if any could be measured.
bool is_about(const Json& record, const std::vector<std::string>& ids, const Upstream& upstream,
              const std::vector<std::size_t>& taps) {
  if (record.value("utterances", Json()) != Json(ids)) return false;
  if (!record.contains("change")) return true;
  return std::all_of(taps.begin(), taps.end(),
                     [&](std::size_t tap) { return record["change"].contains(upstream.spec().taps[tap].name); });
}

}  // namespace

Json measure_windows(const Upstream& upstream, const std::vector<std::size_t>& taps, const at::Tensor& wave) {
  const std::vector<at::Tensor> whole = upstream.forward_whole(wave, taps), cut = upstream.forward(wave, taps);
  Json measured = Json::object();
  for (std::size_t i = 0; i < taps.size(); ++i) {
    const at::Tensor difference = (cut[i] - whole[i]).to(at::kDouble);
    const at::Tensor reference = whole[i].to(at::kDouble);
    measured[upstream.spec().taps[taps[i]].name] = {{"relative_rms", ratio(difference, reference, true)},
                                                    {"relative_peak", ratio(difference, reference, false)}};
  }
  return measured;
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
  if (fs::exists(path) && is_about(read_json(path), ids, upstream, taps)) return;
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

}  // namespace strata
