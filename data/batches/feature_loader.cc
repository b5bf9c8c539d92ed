#include "data/batches/feature_loader.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "core/base/error.h"

namespace strata {

namespace {

std::vector<Tap> chosen_taps(const std::vector<LoaderSource>& sources) {
  std::vector<Tap> taps;
  for (const LoaderSource& source : sources) {
    for (const std::size_t tap : source.chosen) taps.push_back(source.taps[tap]);
  }
  return taps;
}

}  // namespace

FeatureLoader::FeatureLoader(std::vector<LoaderSource> sources, const AlignmentRule& rule, bool pinned)
    : sources_(std::move(sources)), alignment_(rule, chosen_taps(sources_)), pinned_(pinned) {
  for (const LoaderSource& source : sources_) {
    const Tap& first = source.taps[source.chosen.front()];
    for (const std::size_t tap : source.chosen) {
      const Tap& t = source.taps[tap];
      if (t.width != first.width) {
        throw ConfigError(fmt::format("taps {} and {} have widths {} and {}: an interface reads layers of one width; name the taps it is to read",
                                      first.name, t.name, first.width, t.width));
      }
    }
  }
}

std::int64_t FeatureLoader::frames(const std::string& id) const {
  std::int64_t shortest = std::numeric_limits<std::int64_t>::max();
  for (const LoaderSource& source : sources_) {
    for (const std::size_t tap : source.chosen) {
      shortest = std::min(shortest, alignment_.frames(source.features->frames(id, tap), source.taps[tap]));
    }
  }
  if (shortest < 1) throw DataError(fmt::format("utterance \"{}\" has no frames to train on", id));
  return shortest;
}

FeatureBatch FeatureLoader::load(const std::vector<std::string>& ids) const {
  const auto count = static_cast<std::int64_t>(ids.size());
  FeatureBatch batch;
  batch.lengths = at::empty({count}, at::kLong);
  std::int64_t longest = 0;
  for (std::int64_t b = 0; b < count; ++b) {
    const std::int64_t length = frames(ids[static_cast<std::size_t>(b)]);
    batch.lengths.mutable_data_ptr<std::int64_t>()[b] = length;
    longest = std::max(longest, length);
  }
  for (const LoaderSource& source : sources_) {
    const auto layers = static_cast<std::int64_t>(source.chosen.size());
    const bool copied = std::all_of(source.chosen.begin(), source.chosen.end(), [&](std::size_t tap) { return alignment_.copies(source.taps[tap]); });
    const at::ScalarType type = copied && count > 0 ? source.features->dtype() : at::kFloat;
    at::Tensor out = at::zeros({count, longest, layers, source.taps[source.chosen.front()].width},
                               at::TensorOptions(type).pinned_memory(pinned_));
    for (std::int64_t b = 0; b < count; ++b) {
      const std::string& id = ids[static_cast<std::size_t>(b)];
      const std::int64_t length = batch.lengths.const_data_ptr<std::int64_t>()[b];
      for (std::int64_t l = 0; l < layers; ++l) {
        const std::size_t tap = source.chosen[static_cast<std::size_t>(l)];
        const Tap& t = source.taps[tap];
        const at::Tensor rows = out[b].narrow(0, 0, length).select(1, l);
        if (t.hop_samples == alignment_.hop_samples()) {
          source.features->read_into(id, tap, rows);
        } else {
          rows.copy_(alignment_.apply(source.features->read(id, tap), t).narrow(0, 0, length));
        }
      }
    }
    batch.features.push_back(std::move(out));
  }
  return batch;
}

void FeatureLoader::prefetch(const std::vector<std::string>& ids) const {
  for (const std::string& id : ids) {
    for (const LoaderSource& source : sources_) {
      for (const std::size_t tap : source.chosen) source.features->prefetch(id, tap);
    }
  }
}

std::vector<std::size_t> choose_taps(const std::vector<Tap>& taps, const std::vector<std::string>& names) {
  std::vector<std::size_t> chosen;
  for (std::size_t t = 0; names.empty() && t < taps.size(); ++t) {
    if (taps[t].listed) chosen.push_back(t);
  }
  for (const std::string& name : names) {
    const auto found = std::find_if(taps.begin(), taps.end(), [&](const Tap& tap) { return tap.name == name; });
    if (found == taps.end()) throw ConfigError(fmt::format("the store has no tap \"{}\"; it has {} to {}", name, taps.front().name, taps.back().name));
    chosen.push_back(static_cast<std::size_t>(found - taps.begin()));
  }
  if (chosen.empty()) throw ConfigError("none of the stored taps is in the layer list of the model: name the taps that the interface is to read");
  return chosen;
}

}  // namespace strata
