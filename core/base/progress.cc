#include "core/base/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace strata {
namespace {

constexpr std::chrono::milliseconds kBarInterval{100};
constexpr std::chrono::seconds kLineInterval{15};

std::string duration_text(double seconds) {
  if (seconds < 100) return fmt::format("{:.0f} s", seconds);
  if (seconds < 6000) return fmt::format("{:.0f} min", seconds / 60);
  return fmt::format("{:.1f} h", seconds / 3600);
}

int terminal_columns() {
  winsize size{};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

}  // namespace

Progress::Progress(std::string title, std::int64_t total, std::string unit, bool shown)
    : title_(std::move(title)), total_(total), unit_(std::move(unit)), shown_(shown), terminal_(::isatty(STDERR_FILENO) != 0) {}

Progress::~Progress() {
  if (!shown_ || last_ < 0) return;
  print(last_, Clock::now());
  if (terminal_) std::fputc('\n', stderr);
}

std::string Progress::line(const std::string& title, std::int64_t done, std::int64_t total, const std::string& unit, double per_second) {
  std::string text = fmt::format("{}: {} of {} {}", title, done, total, unit);
  if (per_second > 0) {
    text += fmt::format(", {:.{}f} a second", per_second, per_second < 10 ? 2 : 0);
    if (done < total) text += fmt::format(", {} left", duration_text(static_cast<double>(total - done) / per_second));
  }
  return text;
}

void Progress::update(std::int64_t done) {
  const std::lock_guard lock(mutex_);
  const auto now = Clock::now();
  if (first_ < 0) {
    first_ = done;
    printed_ = terminal_ ? Clock::time_point() : now;
  }
  last_ = done;
  if (!shown_ || now - printed_ < (terminal_ ? Clock::duration(kBarInterval) : Clock::duration(kLineInterval))) return;
  print(done, now);
}

void Progress::print(std::int64_t done, Clock::time_point now) {
  printed_ = now;
  const double seconds = std::chrono::duration<double>(now - start_).count();
  const double rate = seconds > 0.2 ? static_cast<double>(done - first_) / seconds : 0.0;
  std::string text = line(title_, done, total_, unit_, rate);
  if (terminal_) {
    constexpr int kBarWidth = 24;
    const int filled = total_ > 0 ? static_cast<int>(kBarWidth * std::clamp<double>(static_cast<double>(done) / static_cast<double>(total_), 0, 1)) : 0;
    text = fmt::format("[{}{}] {}", std::string(static_cast<std::size_t>(filled), '#'), std::string(static_cast<std::size_t>(kBarWidth - filled), '.'), text);
    text.resize(std::min<std::size_t>(text.size(), static_cast<std::size_t>(terminal_columns() - 1)));
    fmt::print(stderr, "\r\033[K{}", text);
    std::fflush(stderr);
  } else {
    fmt::print(stderr, "{}\n", text);
  }
}

}  // namespace strata
