#pragma once

#include <ATen/core/Tensor.h>
#include <xxhash.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace strata {

/// XXH3-64 of bytes that come piece by piece.
class Checksum {
 public:
  Checksum() { XXH3_64bits_reset(state_.get()); }
  void add(std::span<const std::byte> bytes) { XXH3_64bits_update(state_.get(), bytes.data(), bytes.size()); }
  /// All of a contiguous tensor.
  void add(const at::Tensor& tensor) {
    add(std::span(static_cast<const std::byte*>(tensor.const_data_ptr()), tensor.nbytes()));
  }
  std::uint64_t value() const { return XXH3_64bits_digest(state_.get()); }

 private:
  const std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> state_{XXH3_createState(), XXH3_freeState};
};

}  // namespace strata
