#include "trainers/extract/changes.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/from_blob.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/base/log.h"

namespace strata {
namespace {

double ratio(const at::Tensor& difference, const at::Tensor& reference, bool rms) {
  const auto size = [&](const at::Tensor& x) {
    return (rms ? x.square().mean().sqrt() : x.abs().max()).item<double>();
  };
  const double of_difference = size(difference);
  return of_difference == 0 ? 0.0 : of_difference / size(reference);
}

/// The largest relative_rms of a `change_by_tap`, and the taps where it is not a finite number.
struct Largest {
  double relative_rms = 0;
  std::vector<std::string> not_finite;
};

Largest largest_of(const Json& change) {
  Largest largest;
  for (const auto& [tap, measured] : change.items()) {
    const auto value = measured.at("relative_rms").get<double>();
    if (std::isfinite(value)) {
      largest.relative_rms = std::max(largest.relative_rms, value);
    } else {
      largest.not_finite.push_back(tap);
    }
  }
  return largest;
}

}  // namespace

Json change_by_tap(const Upstream& upstream, const std::vector<std::size_t>& taps,
                   const std::vector<at::Tensor>& reference, const std::vector<at::Tensor>& changed) {
  Json measured = Json::object();
  for (std::size_t i = 0; i < taps.size(); ++i) {
    const at::Tensor exact = reference[i].to(at::kDouble), difference = changed[i].to(at::kDouble) - exact;
    measured[upstream.spec().taps[taps[i]].name] = {{"relative_rms", ratio(difference, exact, true)},
                                                    {"relative_peak", ratio(difference, exact, false)}};
  }
  return measured;
}

bool is_recorded(const fs::path& path, const Json& of, const Upstream& upstream, const std::vector<std::size_t>& taps) {
  try {
    if (!fs::exists(path)) return false;
    const Json record = read_json(path);
    for (const auto& [key, value] : of.items()) {
      if (record.at(key) != value) return false;
    }
    return record.contains("not_measured") || std::all_of(taps.begin(), taps.end(), [&](std::size_t tap) {
             return record.at("change").contains(upstream.spec().taps[tap].name);
           });
  } catch (const Json::exception&) {
    return false;
  } catch (const ConfigError&) {
    return false;
  }
}

void record_compute(const fs::path& store_folder, const Upstream& upstream, const std::vector<std::size_t>& taps,
                    const std::vector<PlannedUtterance>& utterances,
                    const std::function<std::vector<float>(const std::string& id)>& read) {
  const fs::path path = store_folder / "compute.json";
  const Json of = {{"compute", upstream.compute()}};
  if (upstream.compute() == "float32" || is_recorded(path, of, upstream, taps)) return;
  const std::string name = store_folder.filename().string();
  std::string reason;
  for (const PlannedUtterance& utterance : utterances) {
    try {
      std::vector<float> audio = read(utterance.id);
      const at::Tensor wave = at::from_blob(audio.data(), {static_cast<std::int64_t>(audio.size())}, at::kFloat);
      const Json change = change_by_tap(upstream, taps, upstream.forward_exact(wave, taps), upstream.forward(wave, taps));
      const Largest largest = largest_of(change);
      log_info("extract: {}: {} changes the features by up to {:.2g} of their rms, measured on \"{}\"", name,
               upstream.compute(), largest.relative_rms, utterance.id);
      if (!largest.not_finite.empty()) {
        log_warning("extract: {}: {} makes values of {} on \"{}\" that are not finite", name, upstream.compute(),
                    fmt::join(largest.not_finite, ", "), utterance.id);
      }
      Json record = of;
      record.update({{"measured_on", utterance.id}, {"change", change}});
      write_file_atomically(path, record.dump(1) + "\n");
      return;
    } catch (const DataError& e) {
      reason = e.what();  // it is left out when its turn comes, or is measured on another one
    }
  }
  if (!reason.empty())
    log_warning("extract: {}: what {} changes was not measured: {}", name, upstream.compute(), reason);
}

}  // namespace strata
