#include "tests/data/store/small_store.h"

#include <ATen/ops/empty.h>

namespace strata {

at::Tensor table(std::int64_t rows, std::int64_t columns, hdf5::StoredType type,
                 double (*value)(std::int64_t, std::int64_t)) {
  at::Tensor values = at::empty({rows, columns}, at::kDouble);
  double* out = values.mutable_data_ptr<double>();
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t c = 0; c < columns; ++c) *out++ = value(r, c);
  }
  return values.to(scalar_type(type));
}

at::Tensor grid(std::int64_t rows, std::int64_t columns, hdf5::StoredType type) {
  return table(rows, columns, type,
               [](std::int64_t r, std::int64_t c) { return static_cast<double>(r) + static_cast<double>(c) / 4; });
}

ShardUtterance utterance(const std::string& id, const std::vector<Tap>& taps, const std::vector<std::int64_t>& frames,
                         hdf5::StoredType type) {
  ShardUtterance made{id, frames.empty() ? 0 : frames[0] * taps[0].hop_samples, {}};
  for (std::size_t t = 0; t < taps.size(); ++t) made.features.push_back(grid(frames[t], taps[t].width, type));
  return made;
}

FeatureStore write_store(const std::filesystem::path& folder, const std::vector<Tap>& taps, const std::string& corpus,
                         const std::vector<ShardUtterance>& utterances, hdf5::StoredType type) {
  const FeatureStore store = FeatureStore::open_or_create(
      folder, {folder.filename(), "f" + folder.filename().string(), type, {taps, 400}});
  CorpusPlan plan = CorpusPlan::load(store.corpus_folder(corpus));
  std::vector<PlannedUtterance> planned;
  for (const ShardUtterance& u : utterances) planned.push_back({u.id, u.samples});
  plan.extend(planned, store.description(), Json::array(), std::int64_t{1} << 30);
  plan.save();
  write_shard(plan.folder() / "shard-00000.h5", taps, type, utterances, {}, hdf5::Compression::kNone,
              store.origin_of(corpus, "shard-00000.h5"));
  return store;
}

}  // namespace strata
