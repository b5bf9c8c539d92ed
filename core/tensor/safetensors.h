#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <string>

namespace strata {

using NamedTensors = std::map<std::string, at::Tensor>;

/// All tensors of a safetensors file (F64, F32, F16, BF16, I64, I32, I16, I8, U8, BOOL), views of its memory map: nothing
/// is copied until used, and the map lives as long as a tensor does. The file is not trusted: header length, JSON, offsets
/// against shape, dtype and file size are checked.
/// `metadata`, if given, receives what stands under `__metadata__`. Throws DataError that names the file and the tensor.
NamedTensors read_safetensors(const std::filesystem::path& path, std::map<std::string, std::string>* metadata = nullptr);

/// Writes contiguous copies of `tensors` (any device), in order of name, atomically. `metadata` goes under `__metadata__`.
void write_safetensors(const std::filesystem::path& path, const NamedTensors& tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace strata
