#include "tools/benchmarks/measure.h"

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/randn.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include "core/base/error.h"
#include "core/upstreams/packed_product.h"

namespace strata {

using Clock = std::chrono::steady_clock;

namespace {

/// Of x W^T by weights that are packed once, each thread its own x.
double packed_peak(int threads) {
  constexpr std::int64_t kRows = 960, kWidth = 1024;
  const auto product = PackedProduct::pack(at::randn({kWidth, kWidth}));
  if (!product) return 0;
  const at::Tensor x = at::randn({threads, kRows, kWidth}), y = at::empty_like(x);
  double best = 0;
  for (int i = 0; i < 30; ++i) {
    std::vector<std::jthread> workers;
    const auto start = Clock::now();
    for (int t = 0; t < threads; ++t) workers.emplace_back([&, t] { product->write(y.select(0, t), x.select(0, t)); });
    workers.clear();
    best = std::max(best, 2.0 * static_cast<double>(threads * kRows * kWidth * kWidth) / seconds_since(start) / 1e9);
  }
  return best;
}

}  // namespace

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

double gemm_peak(int threads, c10::Device device) {
  const std::int64_t size = device.is_cpu() ? 2048 : 8192;
  at::set_num_threads(threads);
  const at::Tensor a = at::randn({size, size}, device), b = at::randn({size, size}, device);
  at::Tensor c = a.mm(b);
  const auto wait = [&] { (void)c.select(0, 0).select(0, 0).item<float>(); };
  wait();
  double best = device.is_cpu() ? packed_peak(threads) : 0;
  for (int i = 0; i < 7; ++i) {
    const auto start = Clock::now();
    at::mm_out(c, a, b);
    wait();
    best = std::max(best, 2.0 * static_cast<double>(size * size * size) / seconds_since(start) / 1e9);
  }
  return best;
}

std::string output_of(const std::string& command) {
  FILE* pipe = ::popen(command.c_str(), "r");
  if (!pipe) throw DataError("cannot run: " + command);
  std::string text;
  char buffer[4096];
  while (const std::size_t n = std::fread(buffer, 1, sizeof buffer, pipe)) text.append(buffer, n);
  if (::pclose(pipe) != 0) throw DataError("it failed: " + command);
  return text;
}

GpuWatch::GpuWatch() {
  thread_ = std::thread([this] {
    while (!done_) {
      try {
        const std::string text =
            output_of("nvidia-smi -i 0 --query-gpu=utilization.gpu --format=csv,noheader,nounits 2>/dev/null");
        samples_.emplace_back(Clock::now(), std::strtod(text.c_str(), nullptr));
      } catch (const DataError&) {
        return;  // there is no nvidia-smi
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
    }
  });
}

GpuWatch::~GpuWatch() {
  done_ = true;
  if (thread_.joinable()) thread_.join();
}

double GpuWatch::mean_percent(double seconds) {
  const auto end = Clock::now();
  done_ = true;
  if (thread_.joinable()) thread_.join();
  double sum = 0, count = 0;
  for (const auto& [time, percent] : samples_) {
    if (std::chrono::duration<double>(end - time).count() > seconds) continue;
    sum += percent;
    ++count;
  }
  return sum / count;
}

Json last_line(const std::string& text) {
  const std::size_t end = text.find_last_not_of('\n');
  const std::size_t before = end == std::string::npos ? end : text.rfind('\n', end);
  const std::string line = text.substr(before == std::string::npos ? 0 : before + 1);
  const Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) throw DataError("the last line is no JSON: " + line);
  return json;
}

}  // namespace strata
