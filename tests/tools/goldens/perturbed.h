#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "tools/goldens/golden.h"

namespace strata {

/// A fresh copy of a folder of fixtures, to be changed.
std::filesystem::path copy_of(const std::filesystem::path& folder);

/// The tolerance of one expected tensor: of which file (without ".safetensors"), its key, and itself.
using Allowed = std::function<double(const std::string& file, const std::string& key, const at::Tensor& want)>;

/// Adds 2.5 times its tolerance (that of a run in float64, unless `allowed` says otherwise) to the first finite element
/// of every expected tensor (F64) of every safetensors file. Returns how many.
int perturb_expected_tensors(const std::filesystem::path& folder, const Allowed& allowed = {});

/// Fails the test for each line that does not pass, or if there are fewer than `least`.
void expect_all_pass(const std::vector<GoldenLine>& lines, std::size_t least);

/// The names of the lines that fail.
std::vector<std::string> failing(const std::vector<GoldenLine>& lines);

}  // namespace strata
