#include "data/manifest/json_lines.h"

#include <gmock/gmock.h>
#include <zlib.h>

#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/base/file.h"

namespace strata {
namespace {

using testing::HasSubstr;

fs::path temporary(const std::string& name) { return fs::path(testing::TempDir()) / name; }

fs::path write_gzip(const std::string& name, const std::string& content) {
  const fs::path path = temporary(name);
  gzFile file = gzopen(path.c_str(), "wb");
  gzwrite(file, content.data(), static_cast<unsigned>(content.size()));
  gzclose(file);
  return path;
}

TEST(Lines, AreNumberedFromOneAndMayEndInCrLfOrNothing) {
  std::vector<std::pair<std::int64_t, std::string>> lines;
  for_each_line("a\r\n\n  \nb c\nd", [&](std::int64_t line, std::string_view text) { lines.emplace_back(line, text); });
  EXPECT_EQ(lines, (std::vector<std::pair<std::int64_t, std::string>>{{1, "a"}, {4, "b c"}, {5, "d"}}));
}

TEST(JsonLines, ReadsPlainAndGzip) {
  write_file_atomically(temporary("a.jsonl"), "{\"x\":1}\n\n{\"x\":2}\n");
  for (const fs::path& path : {temporary("a.jsonl"), write_gzip("a.jsonl.gz", "{\"x\":1}\n\n{\"x\":2}\n")}) {
    std::vector<std::pair<std::int64_t, int>> seen;
    for_each_object(path, [&](std::int64_t line, Json o) { seen.emplace_back(line, o["x"].get<int>()); });
    EXPECT_EQ(seen, (std::vector<std::pair<std::int64_t, int>>{{1, 1}, {3, 2}})) << path;
  }
}

template <class E>
std::string error_of(const fs::path& path) {
  try {
    for_each_object(path, [](std::int64_t, Json) {});
  } catch (const E& e) {
    return e.what();
  }
  return "no such error";
}

TEST(JsonLines, NamesFileLineAndReason) {
  write_file_atomically(temporary("b.jsonl"), "{\"x\":1}\n{\"x\":\n");
  EXPECT_THAT(error_of<ConfigError>(temporary("b.jsonl")), HasSubstr("b.jsonl line 2: not valid JSON: "));
  write_file_atomically(temporary("c.jsonl"), "{\"x\":1}\n[1]\n");
  EXPECT_THAT(error_of<ConfigError>(temporary("c.jsonl")),
              HasSubstr("c.jsonl line 2: expected a JSON object, found array"));
  EXPECT_THAT(error_of<ConfigError>(temporary("none.jsonl")), HasSubstr("none.jsonl: there is no such file"));
}

TEST(JsonLines, SaysThatAGzipFileIsCutShort) {
  std::string content;
  for (int i = 0; i < 20000; ++i) content += "{\"x\":" + std::to_string(i * 7919 % 10007) + "}\n";
  const std::string bytes = read_file(write_gzip("d.jsonl.gz", content));
  write_file_atomically(temporary("e.jsonl.gz"), bytes.substr(0, bytes.size() / 2));
  EXPECT_THAT(error_of<DataError>(temporary("e.jsonl.gz")), HasSubstr("e.jsonl.gz: cannot be unpacked: "));
}

}  // namespace
}  // namespace strata
