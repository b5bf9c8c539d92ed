#pragma once

#include "core/upstreams/weight_reader.h"

namespace strata {

/// How a fairseq checkpoint of HuBERT's kin spells Hugging Face's names: `blocks.layers.0.attention.q_proj.weight` is
/// `blocks.layers.0.self_attn.q_proj.weight` there, and so on.
///   layer_stem  layer norms in the stem: fairseq wraps them in two transpositions, which adds an index
///   weight_g    the file has the old names of a weight norm (torch before 2.1)
WeightReader::Spelling fairseq_spelling(bool layer_stem, bool weight_g);

}  // namespace strata
