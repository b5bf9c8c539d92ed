#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros_like.h>
#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <limits>
#include <string>
#include <vector>

#include "core/base/random.h"
#include "core/pretraining/leaf_parameters.h"
#include "core/pretraining/objective.h"
#include "core/tensor/feature_spec.h"
#include "core/upstreams/packed_product.h"

// Forward and backward of one utterance by each objective on one thread, beside the rate of a matrix product:
// tools/bench pretrain [SECONDS [REPEATS [OBJECTIVE]]]

namespace strata {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

/// GFLOP/s of a product of square matrices.
double product_rate() {
  constexpr std::int64_t kSize = 1024;
  const at::Tensor a = at::ones({kSize, kSize}), b = at::ones({kSize, kSize});
  std::vector<double> seconds;
  for (int i = 0; i < 10; ++i) {
    const auto start = Clock::now();
    a.mm(b);
    seconds.push_back(seconds_since(start));
  }
  return 2.0 * kSize * kSize * kSize / median(seconds) / 1e9;
}

double milliseconds_of(const std::string& type, const std::string& compute, double seconds_of_audio, int repeats) {
  const auto objective = ObjectiveRegistry::make(FieldReader({{"type", type}, {"compute", compute}}, "benchmark"));
  const at::Tensor flat = objective->initial(1), gradient = at::zeros_like(flat);
  const Parameters parameters = leaf_parameters(objective->specs(), flat, gradient);
  objective->start(parameters);
  const auto samples = static_cast<std::int64_t>(seconds_of_audio * kSampleRateHz);
  PretrainUtterance utterance{1, at::empty({samples}, at::kFloat), {}};
  RandomStream random({1});
  for (std::int64_t i = 0; i < samples; ++i)
    utterance.wave.mutable_data_ptr<float>()[i] = static_cast<float>(0.1 * random.normal());
  if (objective->classes() > 0) {
    utterance.units = at::empty({objective->frames(samples)}, at::kLong);
    for (std::int64_t t = 0; t < utterance.units.size(0); ++t)
      utterance.units.mutable_data_ptr<std::int64_t>()[t] =
          static_cast<std::int64_t>(random.below(objective->classes()));
  }
  std::vector<double> seconds;
  for (int i = 0; i < repeats + 3; ++i) {
    const auto start = Clock::now();
    objective->forward(parameters, utterance, {1, static_cast<std::uint64_t>(i), true}).loss.backward();
    if (i >= 3) seconds.push_back(seconds_since(start));
  }
  return 1e3 * median(seconds);
}

int benchmark(double seconds_of_audio, int repeats, const std::string& only) {
  mallopt(M_MMAP_MAX, 0);  // memory is kept, as in the program
  mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
  at::set_num_threads(1);
  Json record = {{"benchmark", "pretrain"}, {"seconds_of_audio", seconds_of_audio}, {"gemm_gflops", product_rate()}};
  for (const std::string& type : ObjectiveRegistry::names()) {
    if (!only.empty() && type != only) continue;
    for (const std::string compute : {"float32", "bfloat16"}) {
      if (!PackedProduct::refusal(compute == "bfloat16" ? at::kBFloat16 : at::kFloat).empty()) continue;
      const double ms = milliseconds_of(type, compute, seconds_of_audio, repeats);
      std::printf("%-10s %-8s %8.1f ms forward and backward, %6.1f s of audio a second\n", type.c_str(),
                  compute.c_str(), ms, 1e3 * seconds_of_audio / ms);
      record[type + "_" + compute + "_ms"] = ms;
    }
  }
  std::printf("%s\n", record.dump().c_str());
  return 0;
}

}  // namespace
}  // namespace strata

int main(int count, char** arguments) {
  return strata::benchmark(count > 1 ? std::stod(arguments[1]) : 5.0, count > 2 ? std::stoi(arguments[2]) : 15,
                           count > 3 ? arguments[3] : "");
}
