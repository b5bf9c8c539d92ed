#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/base/file.h"
#include "data/store/corpus_features.h"

namespace strata {

/// Where an utterance's taps lie, for those who read without us.
struct Extent {
  int fd = -1;
  std::int64_t offset = 0, bytes = 0;
};

/// Files opened once and extents by utterance: what the best use of `pread` needs.
class PlainReader {
 public:
  PlainReader(const CorpusFeatures& features, std::size_t taps) {
    for (const auto& shard : features.shards()) {
      fds_.push_back(::open(shard->path().c_str(), O_RDONLY | O_CLOEXEC));
      for (std::size_t u = 0; u < shard->ids().size(); ++u) {
        auto& extents = extents_[shard->ids()[u]];
        for (std::size_t t = 0; t < taps; ++t) {
          const ShardTap& tap = shard->tap(t);
          const std::int64_t row = tap.frames.columns * 2;
          extents.push_back({fds_.back(), tap.frames.offset_bytes + tap.first[u] * row, tap.count[u] * row});
          largest_ = std::max(largest_, extents.back().bytes);
        }
      }
    }
  }
  ~PlainReader() {
    for (const int fd : fds_) ::close(fd);
  }
  PlainReader(const PlainReader&) = delete;
  PlainReader& operator=(const PlainReader&) = delete;

  /// Into a buffer of `largest` bytes that is used again for each tap.
  void read(const std::string& id, const std::vector<std::size_t>& taps, char* buffer) const {
    for (const std::size_t tap : taps) {
      const Extent& e = extents_.at(id)[tap];
      for (std::int64_t at = 0; at < e.bytes;) {
        const ssize_t n = ::pread(e.fd, buffer, static_cast<std::size_t>(e.bytes - at), e.offset + at);
        if (n <= 0) throw FileError("pread failed");
        at += n;
      }
    }
  }
  std::int64_t largest() const { return largest_; }

 private:
  std::vector<int> fds_;
  std::map<std::string, std::vector<Extent>> extents_;
  std::int64_t largest_ = 0;
};

}  // namespace strata
