#pragma once

#include <filesystem>
#include <string_view>
#include <vector>

namespace strata {

struct FileContent {
  std::filesystem::path path;
  std::vector<std::string_view> pieces;  // one behind the other
};

/// Writes files of one folder, so that after a crash each is the old one or the whole new one, and none is new before those
/// in front of it (on file systems that keep the order of renames in a folder, as ext4, XFS and Btrfs do): all written beside
/// under names ending in `.part`, all flushed, renamed in order, the folder flushed once. One after the other they would
/// wait for the disk four times where this does once or twice. Makes missing parent folders.
/// Throws FileError with the system's reason; the partial files are then removed, those that had their names by then stay.
void write_files_atomically(const std::vector<FileContent>& files);

}  // namespace strata
