#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <map>
#include <set>

#include "tools/goldens/golden.h"
#include "tools/goldens/kind.h"

namespace {

namespace fs = std::filesystem;
using strata::GoldenLine;

const std::map<std::string, strata::GoldenCheck>& checks() {
  static const std::map<std::string, strata::GoldenCheck> all = {
      {"fusion", strata::check_fusion},     {"heads", strata::check_heads},           {"interfaces", strata::check_interfaces},
      {"metrics", strata::check_metrics},   {"optim", strata::check_optim},           {"spectral", strata::check_spectral},
      {"upstreams", strata::check_upstreams},
  };
  return all;
}

std::string kind_of(const fs::path& folder) {
  std::set<std::string> known;
  for (const auto& [kind, check] : checks()) known.insert(kind);
  return strata::golden_kind(folder, known);
}

/// Prints the lines of one kind; returns how many failed.
std::size_t check_kind(const std::string& kind, const fs::path& folder, std::size_t* total) {
  std::vector<GoldenLine> lines;
  const auto check = checks().find(kind);
  if (check == checks().end()) {
    lines.push_back({kind, 0, 0, fmt::format("the kind \"{}\" is not known yet", kind)});
  } else {
    lines = check->second(folder);
    if (lines.empty()) lines.push_back({kind, 0, 0, "no fixture was found in " + folder.string()});
  }
  std::size_t failed = 0;
  for (const GoldenLine& line : lines) {
    failed += line.passes() ? 0 : 1;
    fmt::print("{} error {:.3g} allowed {:.3g} {}{}\n", line.name, line.error, line.allowed, line.passes() ? "PASS" : "FAIL", line.reason.empty() ? "" : ": " + line.reason);
  }
  *total += lines.size();
  return failed;
}

}  // namespace

/// check_goldens DIR: DIR is one kind's folder, one model of the kind upstreams, or a tree with a folder a kind.
int main(int argc, char** argv) {
  if (argc != 2 || !fs::is_directory(argv[1])) {
    fmt::print(stderr, "strata: error: {}; usage: tools/check_goldens DIR\n", argc == 2 ? std::string(argv[1]) + " is no folder" : "one folder of fixtures is needed");
    return 2;
  }
  const fs::path given = fs::canonical(argv[1]);
  std::size_t total = 0, failed = 0;
  if (const std::string kind = kind_of(given); !kind.empty()) {
    failed += check_kind(kind, given, &total);
  } else {
    std::set<fs::path> folders;
    for (const auto& entry : fs::directory_iterator(given)) {
      if (entry.is_directory()) folders.insert(entry.path());
    }
    for (const fs::path& folder : folders) {
      const std::string kind_there = kind_of(folder);
      failed += check_kind(kind_there.empty() ? folder.filename().string() : kind_there, folder, &total);
    }
  }
  fmt::print("{} compared, {} failed\n", total, failed);
  if (total == 0) fmt::print(stderr, "strata: error: no fixture was found in {}\n", given.string());
  return failed == 0 && total > 0 ? 0 : 1;
}
