#pragma once

#include <filesystem>
#include <vector>

#include "core/config/json.h"

namespace strata {

/// The record of a study's output: JSON lines, one event each, only ever appended; replaying it gives what is done.
/// One process writes (the owner of the output); anyone may replay at any time.
class Journal {
 public:
  /// Opens for appending. A torn last line (the writer was killed) is cut off first. Throws DataError.
  explicit Journal(const std::filesystem::path& path);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  /// Appends one event with the time added as `time` (seconds since 1970), in one write, and flushes it to disk.
  void append(Json event);

  /// All events; none if there is no file. A torn last line is left out. Throws DataError naming the line that is broken.
  static std::vector<Json> replay(const std::filesystem::path& path);

 private:
  std::filesystem::path path_;
  int fd_ = -1;
};

}  // namespace strata
