#include "tools/goldens/kind.h"

#include <algorithm>

namespace strata {
namespace {

namespace fs = std::filesystem;

bool is_model(const fs::path& folder) {
  std::error_code ignored;
  return fs::is_regular_file(folder / "expected.safetensors", ignored) &&
         fs::is_regular_file(folder / "config.json", ignored);
}

}  // namespace

std::string golden_kind(const fs::path& folder, const std::set<std::string>& known) {
  const std::string name = fs::canonical(folder).filename().string();
  if (known.contains(name)) return name;
  const bool models = is_model(folder) || std::any_of(fs::directory_iterator(folder), fs::directory_iterator(),
                                                      [](const auto& entry) { return is_model(entry.path()); });
  return models ? "upstreams" : "";
}

}  // namespace strata
