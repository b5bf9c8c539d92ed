#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "data/store/shard.h"
#include "data/store/store.h"

namespace strata {

/// Reads features of one corpus and upstream by utterance id. Opens every shard that holds wanted taps once.
/// Thread-safe.
class CorpusFeatures {
 public:
  ///   taps  those that are read, such as FeatureStore::spec_of gives; empty: all of the store
  /// Throws DataError as FeatureStore::open_shard does; ConfigError if the corpus was not extracted, or not wholly: it
  /// says which shards are missing and what to run.
  CorpusFeatures(const FeatureStore& store, const std::string& corpus, std::vector<Tap> taps = {});

  /// True if all taps of it are there.
  bool contains(const std::string& id) const { return places_.contains(id); }
  /// Why `id` could not be decoded; nullptr if nothing is known.
  const std::string* failure(const std::string& id) const;
  /// T of one tap.
  std::int64_t frames(const std::string& id, std::size_t tap) const;
  std::int64_t samples(const std::string& id) const;
  /// [T, D] in `dtype()`.
  ///   tap  index into the taps given
  /// Throws DataError if there is no such utterance.
  at::Tensor read(const std::string& id, std::size_t tap) const;
  /// The first N frames of them into a buffer of the caller, converted on the way; see ShardReader::read_into.
  ///   out  [N, D] in float32 or `dtype()`, N <= T, on the CPU; each row contiguous, the rows may lie apart
  /// Throws ShapeError (both shapes) if it is otherwise, DataError as `read`. Thread-safe as `read` is, each thread
  /// with a buffer of its own.
  void read_into(const std::string& id, std::size_t tap, const at::Tensor& out) const;
  /// Of what is read: the stored one, float32 for int8.
  at::ScalarType dtype() const { return scalar_type(type_); }

  /// Has the frames of one tap read from disk while others are worked on; see ShardReader::prefetch.
  void prefetch(const std::string& id, std::size_t tap) const;

  std::size_t size() const { return places_.size(); }
  const std::vector<std::unique_ptr<ShardReader>>& shards() const { return shards_; }

 private:
  static constexpr std::size_t kNoPlace = ~std::size_t{0};
  /// Where some taps of an utterance are: a place for each generation that has wanted ones.
  struct Place {
    std::size_t shard = 0;
    std::size_t utterance = 0;
    std::size_t next = kNoPlace;  // of the same utterance, in list_
  };
  /// A tap of an utterance: of which shard, and its index there.
  struct StoredTap {
    const ShardReader* shard = nullptr;
    std::size_t tap = 0;
    std::size_t utterance = 0;
  };
  void open_shard(const FeatureStore& store, const ShardPlan& plan);
  void leave_out_incomplete();
  StoredTap find(const std::string& id, std::size_t tap) const;

  std::string name_;
  hdf5::StoredType type_;
  std::vector<Tap> taps_;
  std::vector<std::unique_ptr<ShardReader>> shards_;
  std::vector<std::vector<std::optional<std::size_t>>> tap_in_shard_;  // by shard, by tap: its index there
  std::vector<Place> list_;
  std::unordered_map<std::string_view, std::size_t> places_;  // by the ids that the shards hold: the last one in list_
  std::unordered_map<std::string, std::string> failures_;
};

}  // namespace strata
