#include "data/store/apart.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <exception>

#include "core/base/error.h"

namespace strata {
namespace {

constexpr int kDone = 0, kRefused = 17;  // unlike what libraries and sanitizers exit with

[[noreturn]] void fail(const std::filesystem::path& file, const char* operation) {
  throw DataError(fmt::format("{}: cannot {}: {}", file.string(), operation, std::strerror(errno)));
}

/// The child's side; leaves without the clean-up of a process that it shares.
[[noreturn]] void work_and_exit(const std::function<std::string()>& work, int seconds, int out) {
  const rlimit limit{static_cast<rlim_t>(seconds), static_cast<rlim_t>(seconds) + 1}, no_core{0, 0};
  ::setrlimit(RLIMIT_CPU, &limit);
  ::setrlimit(RLIMIT_CORE, &no_core);
  int code = kDone;
  std::string answer;
  try {
    answer = work();
  } catch (const std::exception& e) {
    code = kRefused;
    answer = e.what();
  }
  for (std::size_t at = 0; at < answer.size();) {
    const ssize_t n = ::write(out, answer.data() + at, answer.size() - at);
    if (n < 0 && errno != EINTR) std::abort();
    if (n > 0) at += static_cast<std::size_t>(n);
  }
  std::_Exit(code);
}

std::string read_all(int in) {
  std::string text;
  char buffer[1 << 12];
  for (;;) {
    const ssize_t n = ::read(in, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return text;
    text.append(buffer, static_cast<std::size_t>(n));
  }
}

}  // namespace

std::string apart(const std::filesystem::path& file, const std::function<std::string()>& work, int seconds) {
  int ends[2];
  if (::pipe(ends) != 0) fail(file, "make a pipe");
  const pid_t child = ::fork();
  if (child == 0) work_and_exit(work, seconds, ends[1]);
  ::close(ends[1]);
  const std::string answer = child < 0 ? "" : read_all(ends[0]);
  ::close(ends[0]);
  if (child < 0) fail(file, "start a process");
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == kDone) return answer;
  if (WIFEXITED(status) && WEXITSTATUS(status) == kRefused) throw DataError(answer);
  throw DataError(
      fmt::format("{}: the process that looked into it died ({}): the file is damaged, or made to harm; `strata verify "
                  "--repair` removes it, "
                  "`strata extract` fills the hole",
                  file.string(), WIFSIGNALED(status) ? ::strsignal(WTERMSIG(status)) : "exit"));
}

}  // namespace strata
