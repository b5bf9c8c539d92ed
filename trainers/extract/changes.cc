#include "trainers/extract/changes.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/from_blob.h>
#include <fmt/format.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/base/log.h"

namespace strata {
namespace {

double ratio(const at::Tensor& difference, const at::Tensor& reference, bool rms) {
  const auto size = [&](const at::Tensor& x) {
    return (rms ? x.square().mean().sqrt() : x.abs().max()).item<double>();
  };
  const double of_reference = size(reference);
  return of_reference > 0 ? size(difference) / of_reference : 0.0;
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

void record_compute(const fs::path& store_folder, const Upstream& upstream, const std::vector<std::size_t>& taps,
                    const std::vector<PlannedUtterance>& utterances,
                    const std::function<std::vector<float>(const std::string& id)>& read) {
  const fs::path path = store_folder / "compute.json";
  if (upstream.compute() == "float32" || fs::exists(path)) return;
  for (const PlannedUtterance& utterance : utterances) {
    try {
      std::vector<float> audio = read(utterance.id);
      const at::Tensor wave = at::from_blob(audio.data(), {static_cast<std::int64_t>(audio.size())}, at::kFloat);
      const Json change = change_by_tap(upstream, taps, upstream.forward_exact(wave, taps), upstream.forward(wave, taps));
      double largest = 0;
      for (const Json& tap : change) largest = std::max(largest, tap["relative_rms"].get<double>());
      log_info("extract: {}: {} changes the features by up to {:.2g} of their rms, measured on \"{}\"",
               store_folder.filename().string(), upstream.compute(), largest, utterance.id);
      const Json record = {{"compute", upstream.compute()}, {"measured_on", utterance.id}, {"change", change}};
      write_file_atomically(path, record.dump(1) + "\n");
      return;
    } catch (const DataError&) {
      // It is left out when its turn comes, with this reason.
    }
  }
}

}  // namespace strata
