#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/error.h"

namespace strata {

namespace fs = std::filesystem;

/// A file cannot be read or written: full disk, no permission. No fault of the work that met it.
class FileError : public DataError {
 public:
  using DataError::DataError;
};

/// The whole content of a file. Throws FileError that names `path` and the system's reason.
std::string read_file(const fs::path& path);

/// Writes `content` to `path` so that after a crash either the old file or the whole new one is there: written beside
/// under a name ending in `.part`, flushed to disk, closed, renamed, folder flushed. Makes missing parent folders.
/// Throws FileError with the system's reason (full disk, no permission); the partial file is then removed.
void write_file_atomically(const fs::path& path, std::string_view content);

/// Flushes what is at `part` to disk, renames it to `path` and flushes the folder. Who wrote it has flushed it already:
/// an error that the system told to that one may not be told again. Throws FileError.
void publish_file(const fs::path& part, const fs::path& path);

/// Makes `path` and its parents. Throws ConfigError, naming the part that is in the way, if one of them is no folder.
void make_folder(const fs::path& path);

/// Bytes free to us on the file system of `path` or of its nearest parent that exists.
std::uint64_t free_bytes(const fs::path& path);

/// A file opened for reading in places. What cannot be read is an exception, where a mapping ends the process.
class OpenFile {
 public:
  /// Device and inode: a path may lead to another file when it is opened again.
  using Identity = std::pair<std::uint64_t, std::uint64_t>;

  /// Throws FileError.
  explicit OpenFile(const fs::path& path);
  ~OpenFile();
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;

  /// Fills `to` from `offset` on. Throws FileError if the file ends before, or cannot be read. Thread-safe.
  void read(std::int64_t offset, std::span<char> to) const;

  const fs::path& path() const { return path_; }
  std::size_t size_bytes() const { return size_bytes_; }
  const Identity& identity() const { return identity_; }
  int descriptor() const { return fd_; }

 private:
  fs::path path_;
  int fd_ = -1;
  std::size_t size_bytes_ = 0;
  Identity identity_;
};

/// A read-only memory map of a whole file. Move-only; the bytes live as long as the object.
class MappedFile {
 public:
  /// Throws FileError if the file cannot be opened or mapped.
  explicit MappedFile(const fs::path& path);
  /// Keeps none of `file`, which may be closed.
  explicit MappedFile(const OpenFile& file);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&&) = delete;

  const char* data() const { return data_; }
  std::size_t size_bytes() const { return size_bytes_; }

 private:
  const char* data_ = nullptr;
  std::size_t size_bytes_ = 0;
};

}  // namespace strata
