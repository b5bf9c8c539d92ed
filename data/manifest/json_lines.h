#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "core/config/json.h"

namespace strata {

/// "<file> line <n>": how errors name a place.
std::string place_of(const std::filesystem::path& path, std::int64_t line);

/// Calls `visit` for each line of `content`, numbered from 1, without its line end (LF or CR LF). Lines of white space
/// are skipped, but counted.
void for_each_line(std::string_view content,
                   const std::function<void(std::int64_t line, std::string_view text)>& visit);

/// Reads a file of lines (the content of `path`, unpacked if its name ends in `.gz`).
/// Throws ConfigError if there is no such file, DataError if it cannot be read or unpacked.
std::string read_lines_file(const std::filesystem::path& path);

/// Calls `visit` for each JSON object of the file. Throws ConfigError with file and line where a line is not valid JSON
/// or not an object, or if there is no such file.
void for_each_object(const std::filesystem::path& path,
                     const std::function<void(std::int64_t line, Json object)>& visit);

}  // namespace strata
