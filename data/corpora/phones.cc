#include "data/corpora/phones.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <exception>
#include <future>
#include <thread>
#include <utility>

#include "core/base/error.h"

namespace strata {
namespace {

constexpr const char* kProgram = "espeak-ng";

/// Runs the program on one text and returns what it prints.
std::string printed_for(const std::string& text, const std::string& voice) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0)
    throw DataError(fmt::format("no pipe to {}: {}", kProgram, std::strerror(errno)));
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  std::vector<std::string> words = {kProgram, "-q", "--ipa", "--sep=_", "-v", voice, "--", text};
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  pid_t child = 0;
  const int failed = ::posix_spawnp(&child, kProgram, &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  if (failed != 0) {
    ::close(ends[0]);
    throw ConfigError(
        fmt::format("phones need the program {} (Debian package {}): {}", kProgram, kProgram, std::strerror(failed)));
  }
  std::string printed;
  std::array<char, 4096> buffer{};
  bool unread = false;
  for (ssize_t count = 0; (count = ::read(ends[0], buffer.data(), buffer.size())) != 0;) {
    if (count > 0) printed.append(buffer.data(), static_cast<std::size_t>(count));
    if (count >= 0 || errno == EINTR) continue;
    unread = true;
    break;
  }
  ::close(ends[0]);
  int status = 0;
  pid_t ended = 0;
  while ((ended = ::waitpid(child, &status, 0)) < 0 && errno == EINTR) {
  }
  if (ended != child || WIFSIGNALED(status) || unread)
    throw DataError(fmt::format("{} was stopped while it read \"{}\"", kProgram, text));
  if (WEXITSTATUS(status) != 0)
    throw ConfigError(fmt::format("{} failed on \"{}\"; does it have the voice \"{}\"?", kProgram, text, voice));
  return printed;
}

}  // namespace

std::string phones_of_output(std::string_view printed) {
  static constexpr std::array<std::string_view, 2> kStress = {"\u02C8", "\u02CC"};
  std::string phones, phone;
  bool in_mark = false;
  const auto end_phone = [&] {
    if (phone.empty()) return;
    if (!phones.empty()) phones += ' ';
    phones += std::exchange(phone, {});
  };
  for (std::size_t i = 0; i < printed.size(); ++i) {
    const char c = printed[i];
    const bool stress = std::any_of(kStress.begin(), kStress.end(),
                                    [&](std::string_view mark) { return printed.substr(i).starts_with(mark); });
    if (stress) {
      i += kStress.front().size() - 1;
    } else if (c == '(' || c == ')') {  // around the language of a foreign word
      end_phone();
      in_mark = c == '(';
    } else if (c == '_' || c == ' ' || c == '-' || c == '\n') {  // "-" after a schwa that may be mute
      end_phone();
    } else if (!in_mark) {
      phone += c;
    }
  }
  end_phone();
  return phones;
}

std::vector<std::string> espeak_phones(const std::vector<std::string>& texts, const std::string& voice) {
  std::vector<std::string> phones(texts.size());
  std::atomic<std::size_t> next = 0;
  const auto work = [&] {
    try {
      for (std::size_t i = next++; i < texts.size(); i = next++)
        phones[i] = phones_of_output(printed_for(texts[i], voice));
    } catch (...) {
      next = texts.size();  // the others end too
      throw;
    }
  };
  std::vector<std::future<void>> workers;
  for (unsigned i = 0; i < std::max(1U, std::thread::hardware_concurrency()); ++i)
    workers.push_back(std::async(std::launch::async, work));
  std::exception_ptr failed;
  for (std::future<void>& worker : workers) {
    try {
      worker.get();
    } catch (...) {
      if (!failed) failed = std::current_exception();
    }
  }
  if (failed) std::rethrow_exception(failed);
  return phones;
}

}  // namespace strata
