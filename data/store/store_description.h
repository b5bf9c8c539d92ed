#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/config/json.h"
#include "core/tensor/feature_spec.h"
#include "data/store/hdf5.h"

namespace strata {

/// What store.json says: everything that must agree before features are added or read.
struct StoreDescription {
  std::string upstream;     // its name in the study
  std::string fingerprint;  // of weights, config, normalisation, storage type and arithmetic
  hdf5::StoredType type = hdf5::StoredType::kFloat32;
  FeatureSpec spec;                  // the taps that are stored, in the upstream's order
  Json provenance = Json::object();  // model, versions: for people; never compared
  hdf5::Compression compression =
      hdf5::Compression::kNone;  // of shards that are planned from now on; no part of the fingerprint
  std::vector<Tap> available =
      {};  // all taps of the upstream, in its order; empty: not known, as in stores of format 1
  std::vector<std::string> first_taps = {};  // those of generations that name none; empty: all (the store never grew)

  bool operator==(const StoreDescription&) const = default;
};

/// Reads store.json. Throws DataError if it is damaged, ConfigError if its format, type or compression is of another
/// version.
StoreDescription read_description(const std::filesystem::path& path);

/// Writes store.json, beside and renamed, unless it says just that; an older format becomes this one.
void write_description(const StoreDescription& description, const std::filesystem::path& path);

/// nullptr if there is none of that name.
const Tap* find_tap(const std::vector<Tap>& taps, const std::string& name);

std::vector<std::string> names_of(const std::vector<Tap>& taps);

/// The compression that store.json or a plan names. Throws ConfigError if this program does not know it.
hdf5::Compression compression_from_json(const Json& name, const std::filesystem::path& path);

}  // namespace strata
