#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>

namespace strata {

/// Shows how far a long operation is: a bar with rate and time left on a terminal, a plain line now and then without one.
/// Everything goes to standard error. Thread-safe.
class Progress {
 public:
  /// `total` in `unit`s ("utterances", "trials"). Silent if `shown` is false (other ranks, --quiet).
  Progress(std::string title, std::int64_t total, std::string unit, bool shown);
  /// Ends the line of the bar.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// Sets how many are done. The rate counts from the first call's value, so that work done in an earlier run is not in it.
  void update(std::int64_t done);

  /// The line without a bar: "extract hubert/debian: 120 of 500 utterances, 24.0 a second, 16 s left".
  static std::string line(const std::string& title, std::int64_t done, std::int64_t total, const std::string& unit, double per_second);

 private:
  using Clock = std::chrono::steady_clock;
  void print(std::int64_t done, Clock::time_point now);

  std::string title_;
  std::int64_t total_;
  std::string unit_;
  bool shown_;
  bool terminal_;
  std::mutex mutex_;
  std::int64_t first_ = -1;
  std::int64_t last_ = -1;
  Clock::time_point start_ = Clock::now();
  Clock::time_point printed_;
};

}  // namespace strata
