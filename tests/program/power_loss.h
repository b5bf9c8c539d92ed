#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/random.h"

namespace strata {

/// A call that changed a file or folder, as fault_shim.cc writes it down.
struct FileCall {
  std::string kind;         // create, write, sync, close, truncate, unlink, rename, link, mkdir
  std::int64_t number = 0;  // create: 1 if it empties the file; write: offset; truncate: length
  std::string path, other;  // other: the new name of rename and link
  std::string data;         // written
};

/// Reads a log of the shim. Throws DataError if it is cut.
std::vector<FileCall> read_file_calls(const std::filesystem::path& log);

/// What a file system that promises nothing may show after power was lost: data that were not synced, and names made,
/// moved or removed in a folder that was not synced since, may be there or not.
class LossyDisk {
 public:
  /// Which of what was not synced is kept: nothing; the names, but no data; some of both, names in order.
  enum class Kept { kNothing, kNames, kSome };

  /// An empty, synced folder.
  explicit LossyDisk(std::filesystem::path root);

  /// Throws InternalError for a call that it has no model of.
  void apply(const FileCall& call);

  /// Files by path below the root; folders are names that end in "/".
  std::map<std::string, std::string> after_loss(Kept kept, RandomStream& random) const;

 private:
  using Change = std::map<std::string, std::optional<std::size_t>>;  // name -> node, or removed
  struct Node {
    bool folder = false;
    std::string now, synced;                   // of a file
    std::map<std::string, std::size_t> names;  // of a folder, as programs see it
    std::map<std::string, std::size_t> durable;
    std::vector<Change> pending;
  };
  std::size_t find(const std::filesystem::path& path) const;
  void change(const std::filesystem::path& folder, const Change& change);
  void gather(const Node& folder, const std::string& place, Kept kept, RandomStream& random,
              std::map<std::string, std::string>& files) const;

  std::filesystem::path root_;
  std::vector<Node> nodes_;
};

}  // namespace strata
