#pragma once

#include <fmt/format.h>

#include <string>
#include <utility>

namespace strata {

enum class LogLevel { kQuiet, kNormal, kVerbose };

/// Says once, at start, who we are: rank 0 speaks; of other ranks only warnings are heard, with their rank.
/// Everything goes to standard error. Thread-safe after this call.
void init_log(LogLevel level, int rank, int world_size);

void log_info_text(const std::string& text);
void log_debug_text(const std::string& text);
void log_warning_text(const std::string& text);

/// Prints `strata: error: <text>` whatever the level; with the rank when there are several.
void log_error_text(const std::string& text);

template <class... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
  log_info_text(fmt::format(format, std::forward<Args>(args)...));
}

/// Nothing if this process has said the same before.
void log_info_once_text(const std::string& text);

template <class... Args>
void log_info_once(fmt::format_string<Args...> format, Args&&... args) {
  log_info_once_text(fmt::format(format, std::forward<Args>(args)...));
}

template <class... Args>
void log_debug(fmt::format_string<Args...> format, Args&&... args) {
  log_debug_text(fmt::format(format, std::forward<Args>(args)...));
}

template <class... Args>
void log_warning(fmt::format_string<Args...> format, Args&&... args) {
  log_warning_text(fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace strata
