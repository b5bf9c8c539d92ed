#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tools/goldens/golden.h"

namespace strata {

/// A fresh copy of a folder of fixtures, to be changed.
std::filesystem::path copy_of(const std::filesystem::path& folder);

/// Adds 2.5 times its tolerance in float64 to the first finite element of every expected tensor (F64) of every
/// safetensors file. Returns how many.
int perturb_expected_tensors(const std::filesystem::path& folder);

/// Fails the test for each line that does not pass, or if there are fewer than `least`.
void expect_all_pass(const std::vector<GoldenLine>& lines, std::size_t least);

/// The names of the lines that fail.
std::vector<std::string> failing(const std::vector<GoldenLine>& lines);

}  // namespace strata
