#pragma once

#include <string>
#include <vector>

#include "core/model/model.h"
#include "data/batches/feature_loader.h"
#include "distributed/mpi.h"

namespace strata {

/// Fits what the model's interfaces do not learn by gradients (Interface::fitted) to every frame of these utterances,
/// aligned as in training: one pass, each rank over its slice. Every rank gets the same tensors, float32, by the names
/// that Model::fitted() gives them. Collective. Throws SharedError, on every rank of the group, if the frames are too
/// few.
///   frames  of single frames, not of time means
Parameters fit_interfaces(const Model& model, const BatchSource& frames, const std::vector<std::string>& ids,
                          const Communicator& group);

}  // namespace strata
