#include "data/store/apart.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <exception>

#include "core/base/error.h"
#include "core/base/file.h"

namespace strata {
namespace {

constexpr int kDone = 0, kRefused = 17, kNotSeen = 18;  // unlike what libraries and sanitizers exit with
/// What a process dies of that believes a file. Not a bus error: bytes that the disk does not give show so in a
/// mapping.
constexpr int kOfTheFile[] = {SIGSEGV, SIGABRT, SIGFPE, SIGILL};

[[noreturn]] void fail(const std::filesystem::path& file, const char* operation) {
  throw FileError(fmt::format("{}: cannot {}: {}", file.string(), operation, std::strerror(errno)));
}

/// The child's side; leaves without the clean-up of a process that it shares.
[[noreturn]] void work_and_exit(const std::filesystem::path& file, const std::function<std::string()>& work,
                                int seconds, int out) {
  const rlimit limit{static_cast<rlim_t>(seconds), static_cast<rlim_t>(seconds) + 1}, no_core{0, 0};
  ::setrlimit(RLIMIT_CPU, &limit);
  ::setrlimit(RLIMIT_CORE, &no_core);
  int code = kNotSeen;
  std::string answer;
  try {
    answer = work();
    code = kDone;
  } catch (const FileError& e) {
    answer = e.what();
  } catch (const DataError& e) {
    code = kRefused;
    answer = e.what();
  } catch (const Error& e) {
    answer = e.what();
  } catch (const std::exception& e) {  // no memory, most likely
    answer = fmt::format("{}: {}", file.string(), e.what());
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
  if (child == 0) work_and_exit(file, work, seconds, ends[1]);
  ::close(ends[1]);
  const std::string answer = child < 0 ? "" : read_all(ends[0]);
  ::close(ends[0]);
  if (child < 0) fail(file, "start a process");
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == kDone) return answer;
  if (WIFEXITED(status) && WEXITSTATUS(status) == kRefused) throw DataError(answer);
  if (WIFEXITED(status) && WEXITSTATUS(status) == kNotSeen) throw FileError(answer);
  const int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  const std::string died = fmt::format("{}: the process that looked into it died ({})", file.string(),
                                       signal != 0 ? ::strsignal(signal) : "exit");
  if (signal == SIGXCPU) throw FileError(fmt::format("{}: it took more than {} s of processor time", died, seconds));
  if (signal != 0 && !std::ranges::count(kOfTheFile, signal)) throw FileError(died);
  throw DataError(died +
                  ": the file is damaged, or made to harm; `strata verify --repair` removes it, `strata extract` fills "
                  "the hole");
}

}  // namespace strata
