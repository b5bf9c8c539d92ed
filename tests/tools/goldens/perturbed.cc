#include "tests/tools/goldens/perturbed.h"

#include <ATen/core/Tensor.h>
#include <gtest/gtest.h>

#include "core/tensor/safetensors.h"
#include "tools/goldens/tolerance.h"

namespace strata {

namespace fs = std::filesystem;

fs::path copy_of(const fs::path& folder) {
  const fs::path copy = fs::path(testing::TempDir()) / folder.filename();
  fs::remove_all(copy);
  fs::create_directories(copy);
  for (const auto& entry : fs::directory_iterator(folder)) {
    fs::copy_file(entry.path(), copy / entry.path().filename());
  }
  return copy;
}

int perturb_expected_tensors(const fs::path& folder, const Allowed& allowed) {
  int changed = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() != ".safetensors") continue;
    NamedTensors tensors;
    for (const auto& [key, value] : read_safetensors(entry.path())) {
      tensors[key] = value.clone();
      if (value.scalar_type() != at::kDouble) continue;
      const at::Tensor flat = tensors[key].view(-1);
      const std::int64_t first = flat.isfinite().nonzero()[0].item<std::int64_t>();
      flat[first] += 2.5 * (allowed ? allowed(entry.path().stem().string(), key, value) : allowed_in_float64(value));
      ++changed;
    }
    fs::remove(entry.path());
    write_safetensors(entry.path(), tensors);
  }
  return changed;
}

void expect_all_pass(const std::vector<GoldenLine>& lines, std::size_t least) {
  EXPECT_GE(lines.size(), least);
  for (const GoldenLine& line : lines) {
    EXPECT_TRUE(line.passes()) << line.name << ": " << line.error << " of " << line.allowed << " " << line.reason;
  }
}

std::vector<std::string> failing(const std::vector<GoldenLine>& lines) {
  std::vector<std::string> names;
  for (const GoldenLine& line : lines) {
    if (!line.passes()) names.push_back(line.name);
  }
  return names;
}

}  // namespace strata
