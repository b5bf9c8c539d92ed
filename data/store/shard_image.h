#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/tensor/feature_spec.h"
#include "data/store/pages.h"
#include "data/store/shard.h"

namespace strata {

/// Frames of one tap, or their scales.
struct FrameData {
  ByteRange range;
  std::vector<at::Tensor> values;  // which fill the range one behind the other; none: the image has them
};

/// The bytes of a shard. Frames that are not compressed are not copied into them: there the image has zeros.
struct ShardImage {
  hdf5::Id file;  // holds the bytes
  std::string_view bytes;
  std::vector<FrameData> frames;  // by offset

  ShardImage() = default;
  ShardImage(ShardImage&&) = default;
  ~ShardImage();
};

/// What write_shard puts on the disk. Frames are deflated outside of HDF5's lock.
ShardImage make_image(const std::string& place, const std::vector<Tap>& taps, hdf5::StoredType type,
                      const std::vector<ShardUtterance>& utterances, hdf5::Compression compression);

}  // namespace strata
