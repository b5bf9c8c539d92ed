#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "core/tensor/safetensors.h"
#include "core/upstreams/pickle.h"

namespace strata {

/// What torch.save wrote: a zip archive (torch 1.6 and later) or the older form of five pickles and the storages behind
/// them. Tensors are views of its memory map, which lives as long as a tensor does. A pickle is a program; nothing in
/// it is executed: the calls that build a tensor, a parameter or a dictionary are known here. The file is not trusted:
/// every size and offset is checked against it, and tensors that overlap or repeat themselves, so that they have more
/// elements than their storage, are refused.
class TorchFile {
 public:
  /// What becomes of calls that are not known.
  enum class Unknown {
    kRefused,  // an error: nothing else belongs into a state dictionary
    kOpaque,   // a pickle::Object that holds what was to be called, and with what
  };

  /// Throws DataError that names the file.
  TorchFile(const std::filesystem::path& path, Unknown unknown);
  ~TorchFile();

  /// What was saved; valid as long as this object.
  const pickle::Value& root() const;

  /// The tensors of a state dictionary in this file. Throws DataError if `value` is none: an entry without a text name,
  /// or that is no tensor, unless its name is among `skipped`.
  NamedTensors state_dict(const pickle::Value& value, const std::vector<std::string>& skipped = {}) const;

 private:
  class Rebuilder;
  std::unique_ptr<Rebuilder> rebuilder_;
  pickle::Value root_;
};

/// The tensors of a state dictionary, as pytorch_model.bin holds it. Throws DataError that names the file and the
/// tensor.
NamedTensors read_torch_file(const std::filesystem::path& path);

}  // namespace strata
