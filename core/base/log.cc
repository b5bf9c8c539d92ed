#include "core/base/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <mutex>
#include <set>

namespace strata {
namespace {

struct LogState {
  std::shared_ptr<spdlog::logger> logger;
  std::string prefix;  // "[rank/world] " when there are several ranks
  int rank = 0;
};

LogState& state() {
  static LogState instance = [] {
    LogState s;
    s.logger = std::make_shared<spdlog::logger>("strata", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
    s.logger->set_pattern("%H:%M:%S %^%L%$ %v");
    s.logger->flush_on(spdlog::level::trace);
    return s;
  }();
  return instance;
}

}  // namespace

void init_log(LogLevel level, int rank, int world_size) {
  LogState& s = state();
  s.rank = rank;
  if (world_size > 1) s.prefix = fmt::format("[{}/{}] ", rank, world_size);
  s.logger->set_level(level == LogLevel::kVerbose ? spdlog::level::debug
                      : level == LogLevel::kQuiet ? spdlog::level::warn
                                                  : spdlog::level::info);
}

void log_info_text(const std::string& text) {
  if (state().rank == 0) state().logger->info(text);
}
void log_info_once_text(const std::string& text) {
  static std::mutex mutex;
  static std::set<std::string> said;
  const std::lock_guard lock(mutex);
  if (said.insert(text).second) log_info_text(text);
}
void log_debug_text(const std::string& text) {
  if (state().rank == 0) state().logger->debug(text);
}
void log_warning_text(const std::string& text) { state().logger->warn("{}{}", state().prefix, text); }

void log_error_text(const std::string& text) {
  // One write, so that the lines of several ranks do not mix; no time stamp, so that scripts find the prefix.
  const std::string line = fmt::format("strata: error: {}{}\n", state().prefix, text);
  std::fwrite(line.data(), 1, line.size(), stderr);
  std::fflush(stderr);
}

}  // namespace strata
