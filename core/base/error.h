#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace strata {

/// Text of a file that is not trusted, for an error message: printable ASCII, anything else as `?`, cut after 100
/// characters.
inline std::string printable(std::string_view text) {
  constexpr std::size_t kLongest = 100;
  std::string plain(text.substr(0, kLongest));
  for (char& c : plain) c = c >= ' ' && c <= '~' ? c : '?';
  return text.size() > kLongest ? plain + ".." : plain;
}

/// Exit codes of the program; scripts rely on them (contract: section 2 of the README's reference).
inline constexpr int kExitDone = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitPartial = 3;
inline constexpr int kExitRequeue = 75;

/// Base of every error that Strata throws on purpose. The types say who must act; `exit_code` what the program returns.
class Error : public std::runtime_error {
 public:
  Error(const std::string& message, int exit_code) : std::runtime_error(message), exit_code_(exit_code) {}
  int exit_code() const { return exit_code_; }

 private:
  int exit_code_;
};

/// The command line, a study or a manifest is wrong, or a file it names is not there. The user mends the input.
class ConfigError : public Error {
 public:
  explicit ConfigError(const std::string& message) : Error(message, kExitUsage) {}
};

/// A file's content is not what it must be, or a file cannot be read or written.
class DataError : public Error {
 public:
  explicit DataError(const std::string& message) : Error(message, kExitFailed) {}
};

/// A tensor has another shape or dtype than the module was built for; the message gives both.
class ShapeError : public Error {
 public:
  explicit ShapeError(const std::string& message) : Error(message, kExitFailed) {}
};

/// Ranks could not talk, or do not agree.
class CommError : public Error {
 public:
  explicit CommError(const std::string& message) : Error(message, kExitFailed) {}
};

/// An error that every rank of the job throws together (distributed/mpi.h, `together`): rank 0 prints it, all end with its code.
class SharedError : public Error {
 public:
  using Error::Error;
};

/// A promise inside Strata was broken: a bug of ours.
class InternalError : public Error {
 public:
  explicit InternalError(const std::string& message) : Error("internal error: " + message, kExitFailed) {}
};

}  // namespace strata
