#include "data/manifest/json_lines.h"

#include <fmt/format.h>
#include <zlib.h>

#include <memory>
#include <utility>

#include "core/base/error.h"
#include "core/base/file.h"

namespace strata {
namespace {

struct CloseGzip {
  void operator()(gzFile_s* file) const { gzclose(file); }
};

std::string read_gzip(const fs::path& path) {
  const std::unique_ptr<gzFile_s, CloseGzip> file(gzopen(path.c_str(), "rb"));
  if (!file) throw DataError(fmt::format("{}: cannot be opened", path.string()));
  std::string content;
  char buffer[1 << 16];
  for (;;) {
    const int got = gzread(file.get(), buffer, sizeof buffer);
    int code = Z_OK;
    const char* reason = gzerror(file.get(), &code);
    // A file cut short reads well up to the cut; only the code tells.
    if (got < 0 || code == Z_BUF_ERROR)
      throw DataError(fmt::format("{}: cannot be unpacked: {}", path.string(), reason));
    if (got == 0) return content;
    content.append(buffer, static_cast<std::size_t>(got));
  }
}

}  // namespace

std::string place_of(const fs::path& path, std::int64_t line) { return fmt::format("{} line {}", path.string(), line); }

void for_each_line(std::string_view content, const std::function<void(std::int64_t, std::string_view)>& visit) {
  std::int64_t line = 0;
  while (!content.empty()) {
    ++line;
    const std::size_t end = content.find('\n');
    std::string_view text = content.substr(0, end);
    content.remove_prefix(end == std::string_view::npos ? content.size() : end + 1);
    if (text.ends_with('\r')) text.remove_suffix(1);
    if (text.find_first_not_of(" \t") != std::string_view::npos) visit(line, text);
  }
}

std::string read_lines_file(const fs::path& path) {
  std::error_code ignored;
  if (!fs::is_regular_file(path, ignored)) throw ConfigError(fmt::format("{}: there is no such file", path.string()));
  return path.extension() == ".gz" ? read_gzip(path) : read_file(path);
}

void for_each_object(const fs::path& path, const std::function<void(std::int64_t, Json)>& visit) {
  for_each_line(read_lines_file(path), [&](std::int64_t line, std::string_view text) {
    Json object;
    try {
      object = Json::parse(text);
    } catch (const Json::parse_error& e) {
      const std::string what = e.what();
      const std::size_t reason = what.rfind(": ");
      throw ConfigError(fmt::format("{}: not valid JSON: {}", place_of(path, line), what.substr(reason + 2)));
    }
    if (!object.is_object()) {
      throw ConfigError(fmt::format("{}: expected a JSON object, found {}", place_of(path, line), object.type_name()));
    }
    visit(line, std::move(object));
  });
}

}  // namespace strata
