#pragma once

#include <c10/core/Device.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/config/json.h"

namespace strata {

/// Seconds of wall time since `start`.
double seconds_since(std::chrono::steady_clock::time_point start);

/// The upper of the two in the middle where there is none. `values` must not be empty.
double median(std::vector<double> values);

/// GFLOP/s of a large float32 product of matrices, LibTorch's or by packed weights, whichever is faster: what any dense
/// model is held against. The best of several.
/// Sets the number of intra-op threads.
double gemm_peak(int threads, c10::Device device = c10::kCPU);

/// Asks nvidia-smi, until it is destroyed, five times a second how busy the first GPU is.
class GpuWatch {
 public:
  GpuWatch();
  ~GpuWatch();
  GpuWatch(GpuWatch&&) = delete;

  /// The mean over the last `seconds`; NaN if nothing was heard. Ends the watch.
  double mean_percent(double seconds);

 private:
  std::atomic<bool> done_ = false;
  std::vector<std::pair<std::chrono::steady_clock::time_point, double>> samples_;
  std::thread thread_;
};

/// What a shell command prints. Throws DataError that names it if it fails.
std::string output_of(const std::string& command);

/// The last line of a text, which must be JSON. Throws DataError with the line.
Json last_line(const std::string& text);

}  // namespace strata
