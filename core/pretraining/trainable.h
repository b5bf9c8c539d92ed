#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "core/pretraining/objective.h"
#include "core/upstreams/autocast.h"
#include "core/upstreams/encoder_weights.h"
#include "core/upstreams/weight_reader.h"

namespace strata {

/// The parameters that hold `weights`, in their order.
std::vector<ParameterSpec> parameters_of(const std::vector<WeightSpec>& weights);

/// Draws the start of each weight as fairseq does for HuBERT and data2vec, one after the other into one flat vector:
/// convolutions normal with variance 2 / fan_in (He), positional ones with 4 / (kernel * width of the encoder), a
/// layer's linears with standard deviation 0.02 (BERT), norms 1 and 0; `kProjection` uniform within 1 / sqrt(fan_in) as
/// are its bias's values; mask and unit embeddings uniform in [0, 1); other biases 0.
at::Tensor initial_weights(const std::vector<WeightSpec>& weights, std::uint64_t seed);

/// A head's linear, with the start of `kProjection`.
std::vector<WeightSpec> head_weights(const std::string& name, std::int64_t in, std::int64_t out);

/// A reader of the parameters for the modules of core/upstreams, through which gradients flow.
///   compute   of the linears' products: "float32" or "bfloat16", which leaves float64 parameters as they are
///   spelling  where the parameters have other names than the modules'
/// Throws ConfigError if this CPU cannot compute so.
WeightReader reader_of(const Parameters& parameters, const std::string& compute, WeightReader::Spelling spelling = {});

/// What the parameters' GPU computes in 16 bits, if `compute` says so; on a CPU nothing, which `reader_of` told
/// already.
Autocast autocast_of(const Parameters& parameters, const std::string& compute);

/// x, through which `factor` times the gradient flows back.
at::Tensor scale_gradient(const at::Tensor& x, double factor);

/// `x` [T, D] with `embedding` [D] in place of the frames `masked`.
at::Tensor mask_frames(const at::Tensor& x, const at::Tensor& masked, const at::Tensor& embedding);

/// The frames' indices as a tensor on the device of `like`.
at::Tensor index_tensor(const std::vector<std::int64_t>& indices, const at::Tensor& like);

/// Throws DataError if the wave gives no frame.
void check_frames(std::int64_t frames, const at::Tensor& wave);

}  // namespace strata
