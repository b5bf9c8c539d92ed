#pragma once

#include <filesystem>

#include "core/tensor/safetensors.h"

namespace strata {

/// The tensors of a state dictionary that torch.save wrote (zip form, torch 1.6 and later), as pytorch_model.bin holds
/// it: views of its memory map, which lives as long as a tensor does. A pickle is a program; of the calls it may ask
/// for only those that build a tensor, a parameter or a dictionary are known here, anything else is refused and nothing
/// is executed. Every size and offset is checked against the file. Throws DataError that names the file and the tensor.
NamedTensors read_torch_file(const std::filesystem::path& path);

}  // namespace strata
