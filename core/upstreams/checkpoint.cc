#include "core/upstreams/checkpoint.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/config/json.h"
#include "core/upstreams/torch_file.h"

namespace strata {
namespace {

// Starts of names that no hidden state depends on: task heads, quantisers, prediction layers, the mask vector.
constexpr const char* kUnusedStarts[] = {"lm_head.",
                                         "classifier.",
                                         "projector.",
                                         "layer_weights",
                                         "tdnn.",
                                         "objective.",
                                         "quantizer.",
                                         "project_hid.",
                                         "project_q.",
                                         "final_proj.",
                                         "final_projs.",
                                         "dropout_",
                                         "target_glu.",
                                         "target_glus.",
                                         "label_embs_concat",
                                         "masked_spec_embed",
                                         "mask_emb",
                                         "w2v_encoder.proj."};

// Of the x-vector head; what else begins so is the stem.
constexpr const char* kUnusedNames[] = {"feature_extractor.weight", "feature_extractor.bias"};

/// The unused part that a weight belongs to, "quantizer.", or its name if it is one by itself; none if it is used.
std::optional<std::string> unused_part(const std::string& name) {
  for (const std::string part : kUnusedStarts) {
    if (name.starts_with(part)) return part.ends_with('.') ? part : name;
  }
  const bool whole = std::find(std::begin(kUnusedNames), std::end(kUnusedNames), name) != std::end(kUnusedNames);
  return whole || name.ends_with(".num_batches_tracked") ? std::optional(name) : std::nullopt;
}

/// "layer_weights, quantizer.* (3 weights)".
///   parts  names of the weights by part
std::string parts_text(const std::map<std::string, std::vector<std::string>>& parts) {
  std::vector<std::string> texts;
  for (const auto& [part, names] : parts)
    texts.push_back(names.size() == 1 ? printable(names.front()) : fmt::format("{}* ({} weights)", part, names.size()));
  return fmt::format("{}", fmt::join(texts, ", "));
}

bool is_file(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

NamedTensors read_shards(const fs::path& index_path, const std::function<NamedTensors(const fs::path&)>& read) {
  const fs::path folder = index_path.parent_path();
  const Json index = read_json(index_path);
  const auto map = index.find("weight_map");
  if (map == index.end() || !map->is_object()) {
    throw ConfigError(fmt::format("{} /weight_map: expected an object of weight names and files", index_path.string()));
  }
  std::map<std::string, NamedTensors> shards;
  NamedTensors tensors;
  for (const auto& [name, file] : map->items()) {
    const std::string shard = file.is_string() ? file.get<std::string>() : "";
    if (shard.empty() || shard.find('/') != std::string::npos || !is_file(folder / shard)) {
      throw ConfigError(fmt::format("{} /weight_map/{}: there is no file {} in the folder", index_path.string(),
                                    printable(name), shown(file)));
    }
    if (!shards.contains(shard)) shards[shard] = read(folder / shard);
    const auto found = shards[shard].find(name);
    if (found == shards[shard].end()) {
      throw ConfigError(fmt::format("{}: weight {} is missing, which {} says is there", (folder / shard).string(),
                                    printable(name), index_path.filename().string()));
    }
    tensors.insert(*found);
  }
  return tensors;
}

}  // namespace

NamedTensors read_checkpoint(const fs::path& folder) {
  const auto index_of = [](const fs::path& file) { return fs::path(file.string() + ".index.json"); };
  const fs::path safe = folder / "model.safetensors", torch = folder / "pytorch_model.bin";
  if (is_file(safe)) return read_safetensors(safe);
  if (is_file(index_of(safe)))
    return read_shards(index_of(safe), [](const fs::path& shard) { return read_safetensors(shard); });
  if (is_file(torch)) return read_torch_file(torch);
  if (is_file(index_of(torch))) return read_shards(index_of(torch), read_torch_file);
  throw ConfigError(fmt::format(
      "{}: no weights: there is neither model.safetensors nor pytorch_model.bin nor an index of shards of either",
      folder.string()));
}

NamedTensors bare_model(NamedTensors tensors, const std::string& prefix, const std::string& place) {
  NamedTensors bare;
  std::map<std::string, std::vector<std::string>> unused;
  for (auto& [name, tensor] : tensors) {
    const std::string inner = name.starts_with(prefix) ? name.substr(prefix.size()) : name;
    if (const std::optional<std::string> part = unused_part(inner)) {
      unused[*part].push_back(inner);
    } else if (!bare.emplace(inner, std::move(tensor)).second) {
      throw ConfigError(fmt::format("{}: weight {} is there twice, with and without \"{}\" before it", place,
                                    printable(inner), prefix));
    }
  }
  if (!unused.empty())
    log_info_once("{}: left out, for no hidden state depends on them: {}", place, parts_text(unused));
  return bare;
}

}  // namespace strata
