#pragma once

#include <cstdint>
#include <filesystem>

#include "core/base/file.h"

namespace strata {

struct ByteRange {
  std::int64_t offset = 0;
  std::int64_t length = 0;
};

/// Tells the system how bytes of a mapping will be used (MADV_..). Where it cannot be followed nothing is wrong.
void advise(const MappedFile& file, const ByteRange& range, int advice);

/// Has all these bytes read from disk, and does not wait.
void ask_for(const MappedFile& file, const ByteRange& range);

/// True if all these bytes are in memory, as far as the system tells.
bool is_in_memory(const MappedFile& file, const ByteRange& range);

/// False for a file that we neither own nor may write to: since 5.2 Linux says that all of it is in memory.
bool tells_what_is_in_memory(const std::filesystem::path& path);

}  // namespace strata
