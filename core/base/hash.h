#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace strata {

/// SHA-256 of `bytes` as 64 lower-case hex digits.
std::string sha256(std::string_view bytes);

/// SHA-256 of a file's content. Throws DataError if it cannot be read.
std::string sha256_of_file(const std::filesystem::path& path);

/// XXH3-64 of `bytes`: the checksum of stored data.
std::uint64_t xxh3(std::span<const std::byte> bytes);

}  // namespace strata
