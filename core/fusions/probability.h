#pragma once

#include <string>

#include "core/heads/head.h"

namespace strata {

/// Note [What probability fusion fuses]. The mixture sum_i p_i prob_i is a probability again, so it is trained by
/// -log of itself and decided upon: fusions return its logarithm, computed as logsumexp_i(log p_i + log_softmax(z_i)),
/// which a cross entropy or CTC takes as logits, since the log-softmax of log-probabilities is themselves.
///   [B, C]     one class an utterance: softmax over C
///   [B, T, C]  CTC: the fused distribution of each frame enters CTC (arXiv:2212.10092 fuses it for decoding; trained
///   as
///              decided, here). Alignments are thus shared: models may not spell at different speeds.
/// A head that gives something else needs a case in `require_distribution`, and a reading in the fusions:
///   several slots an utterance (IC)     a softmax per slot, since one over all slots would let them compete
///   speaker activities (SD, PIT)        sigmoids per speaker; the order of speakers is arbitrary in each model, so
///   models
///                                       have to be put in the order that the fused output likes best before they are
///                                       mixed
///   AM-softmax (ASV)                    class posteriors while training; at test time there are no classes, so the
///   cosine
///                                       scores of the models' embeddings, with the same p
///   distances of sequences (QbE)        scores, at test time: nothing is trained
/// Until a head has such a case it is refused: mixing numbers that are no probabilities decides nothing.

/// Throws ConfigError if `output` is no distribution over its last axis. `fusion` is named in the error.
void require_distribution(const std::string& fusion, HeadOutput output);

}  // namespace strata
