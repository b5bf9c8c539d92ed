#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/file.h"

namespace strata {

/// The members of a zip archive whose members are stored, not compressed, as torch.save writes it; views of a memory
/// map. The file is not trusted: every offset and size is checked. Zip64 is read; encryption, compression and archives
/// of several disks are refused.
class ZipFile {
 public:
  /// Throws DataError that names the file and the member.
  explicit ZipFile(const std::filesystem::path& path);

  /// True if the file begins as a zip archive does.
  static bool looks_like_one(const std::filesystem::path& path);

  /// Content of each member by name, valid as long as `map()` is.
  const std::map<std::string, std::string_view>& members() const { return members_; }

  const std::shared_ptr<MappedFile>& map() const { return map_; }

 private:
  std::shared_ptr<MappedFile> map_;
  std::map<std::string, std::string_view> members_;
};

}  // namespace strata
